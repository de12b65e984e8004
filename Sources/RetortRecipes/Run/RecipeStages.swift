import RetortCore

/// A recipe as a list of stages, each after those it depends on.
struct RecipeStages: Sendable {
    let teaching: [any Stage]
    let training: [any Stage]
    /// The agents that training produces.
    let agents: [AgentStage]
    let evaluation: [any Stage]
    /// The measured systems that the figures are read from; empty for agents of roles.
    let systems: [EvaluateStage]
    /// Agents of roles; nil in recipes without them.
    let curricula: CurriculumStages?

    init(_ context: RunContext) async throws {
        let recipe = context.recipe
        guard recipe.curricula == nil else {
            let curricula = CurriculumStages(context)
            teaching = try await Self.teaching(context.roleStyle, context)
            training = curricula.training
            agents = curricula.agents
            evaluation = curricula.evaluation.flatMap { Self.measuring($0.stage, context) }
            self.curricula = curricula
            systems = []
            return
        }
        curricula = nil
        let styles = Recipe.Style.allCases.filter { recipe.training[$0] != nil }
        var teaching: [any Stage] = []
        for style in styles {
            teaching += try await Self.teaching(style, context)
        }
        self.teaching = teaching
        var (training, agents): ([any Stage], [AgentStage]) = ([], [])
        for student in recipe.students {
            for style in styles {
                guard let plan = recipe.training[style] else { continue }
                var last = TrainStage(context: context, student: student, style: style, plan: plan)
                training.append(last)
                for (index, round) in recipe.rounds(of: style).enumerated() {
                    let work = StudentRound(context: context, student: student, style: style, number: index + 1)
                    last.round = index + 1
                    training += work.stages(round) + [last]
                }
                agents.append(
                    AgentStage(
                        context: context, student: student, plan: context.agentPlan(style),
                        players: [.backbone: last.trained]))
            }
        }
        (self.training, self.agents) = (training, agents)
        systems = recipe.students.flatMap { student in
            recipe.evaluation.systems.flatMap { system in
                // The results of each round, and last the system as it is handed on.
                let rounds = system.isPlain ? recipe.rounds(of: system.style).count : 0
                return ((0..<rounds).map { $0 } + [nil]).map {
                    EvaluateStage(context: context, student: student, system: system, round: $0)
                }
            }
        }
        evaluation = systems.flatMap { Self.measuring($0, context) }
    }

    /// A stage that measures, with those that judge its results.
    private static func measuring(_ stage: any Stage, _ context: RunContext) -> [any Stage] {
        var stages = [stage]
        if context.recipe.judgesAnswers, let plan = context.recipe.judge {
            stages.append(JudgeStage(context: context, plan: plan, set: stage.name))
        }
        if !context.recipe.domain.otherGraders.isEmpty { stages.append(AlsoStage(context: context, set: stage.name)) }
        return stages
    }

    /// The stages needed to reach a goal, in order.
    func upTo(_ goal: RecipeRun.Goal) -> [any Stage] {
        switch goal {
        case .teach: teaching
        case .train: teaching + training + agents
        case .evaluate: teaching + training + agents + evaluation
        }
    }

    /// The teacher's work on the training tasks, and on the domain's validation tasks where a training uses them.
    private static func teaching(_ style: Recipe.Style, _ context: RunContext) async throws -> [any Stage] {
        let parts: [TeachStage.Part] = context.usesOwnValidation(style) ? [.training, .validation] : [.training]
        var stages: [any Stage] = []
        for part in parts {
            stages.append(try await given(TeachStage(context: context, style: style, part: part), context))
        }
        return stages
    }

    /// An imported teacher's set replaces the teacher's work.
    private static func given(_ stage: any Stage, _ context: RunContext) async throws -> any Stage {
        try await context.store.isImported(stage.name) ? ImportedStage(context: context, name: stage.name) : stage
    }
}
