import RetortCore

/// A recipe as a list of stages, each behind those it depends on.
struct RecipeStages: Sendable {
    let teaching: [any Stage]
    let training: [any Stage]
    /// What training ends with.
    let agents: [AgentStage]
    let evaluation: [any Stage]
    /// What the figures are read from; empty for agents of roles.
    let systems: [EvaluateStage]
    /// Agents of roles; nil in recipes without them.
    let curricula: CurriculumStages?

    init(_ context: RunContext) async throws {
        let recipe = context.recipe
        guard recipe.curricula == nil else {
            let curricula = CurriculumStages(context)
            teaching = [try await Self.given(TeachStage(context: context, style: context.roleStyle), context)]
            training = curricula.training
            agents = curricula.agents
            evaluation = curricula.evaluation.map(\.stage)
            self.curricula = curricula
            systems = []
            return
        }
        curricula = nil
        let styles = Recipe.Style.allCases.filter { recipe.training[$0] != nil }
        var teaching: [any Stage] = []
        for style in styles {
            teaching.append(try await Self.given(TeachStage(context: context, style: style), context))
        }
        self.teaching = teaching
        let trained = recipe.students.flatMap { student in
            styles.compactMap { style in
                recipe.training[style].map {
                    TrainStage(context: context, student: student, style: style, plan: $0)
                }
            }
        }
        training = trained
        agents = trained.map { stage in
            AgentStage(
                context: context, student: stage.student, plan: context.agentPlan(stage.style),
                players: [.backbone: stage.trained])
        }
        systems = recipe.students.flatMap { student in
            recipe.evaluation.systems.map { EvaluateStage(context: context, student: student, system: $0) }
        }
        evaluation = systems.flatMap { stage -> [any Stage] in
            guard let plan = recipe.judge else { return [stage] }
            return [stage, JudgeStage(context: context, plan: plan, set: stage.name)]
        }
    }

    /// Those that are needed to come so far, in order.
    func upTo(_ goal: RecipeRun.Goal) -> [any Stage] {
        switch goal {
        case .teach: teaching
        case .train: teaching + training + agents
        case .evaluate: teaching + training + agents + evaluation
        }
    }

    /// What was imported into a teacher's set takes the teacher's place.
    private static func given(_ stage: any Stage, _ context: RunContext) async throws -> any Stage {
        try await context.store.isImported(stage.name) ? ImportedStage(context: context, name: stage.name) : stage
    }
}
