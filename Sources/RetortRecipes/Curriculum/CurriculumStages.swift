import RetortAgents
import RetortCore
import RetortEvaluation

/// The stages of a recipe whose agents are made by curricula.
struct CurriculumStages: Sendable {
    /// One way of measuring the agent of a curriculum.
    struct Measured: Sendable {
        let stage: EvaluateRolesStage
        let isScaled: Bool
    }

    let training: [TrainRolesStage]
    let agents: [AgentStage]
    let evaluation: [Measured]

    init(_ context: RunContext) {
        var training: [TrainRolesStage] = []
        var agents: [AgentStage] = []
        var evaluation: [Measured] = []
        for student in context.recipe.students {
            // A stage that two curricula share is trained once.
            var known: [Key: TrainedStage] = [:]
            for curriculum in context.recipe.allCurricula {
                var trained: [String: TrainedStage] = [:]
                for stage in curriculum.stages {
                    let parent = stage.from.flatMap { trained[$0] }
                    let key = Key(roles: stage.roles, tasks: stage.tasks, plan: stage.plan, parent: parent?.name)
                    if known[key] == nil {
                        let new = TrainRolesStage(
                            context: context, student: student, label: "\(curriculum.name).\(stage.name)", stage: stage,
                            parent: parent)
                        training.append(new)
                        known[key] = new.trained
                    }
                    trained[stage.name] = known[key]
                }
                let isScaled = curriculum.name.contains("@")
                let players = curriculum.players.compactMapValues { trained[$0.name] }
                if !isScaled {
                    agents.append(
                        AgentStage(
                            context: context, student: student, plan: context.agentPlan(curriculum), players: players))
                }
                guard let plan = context.recipe.evaluation.roles else { continue }
                for (kind, constraint) in isScaled ? [(.greedy, .free)] : plan.ways {
                    let stage = EvaluateRolesStage(
                        context: context, student: student, curriculum: curriculum, kind: kind, constraint: constraint,
                        players: players, plan: plan)
                    evaluation.append(Measured(stage: stage, isScaled: isScaled))
                }
            }
        }
        (self.training, self.agents, self.evaluation) = (training, agents, evaluation)
    }

    /// What two stages must share to be the same.
    private struct Key: Hashable {
        let roles: [AgentRole]
        let tasks: Curriculum.Share
        let plan: Recipe.TrainingPlan
        let parent: String?
    }

    /// The figures of the measured agents.
    func summary(of train: [AgentTask]) async throws -> ToolUseSummary {
        var summary = ToolUseSummary()
        for measured in evaluation {
            let (stage, curriculum) = (measured.stage, measured.stage.curriculum)
            summary.add(
                system: curriculum.name.split(separator: "@").first.map(String.init) ?? curriculum.name,
                student: stage.student.name, search: stage.kind.rawValue, outputs: stage.constraint.rawValue,
                tasks: curriculum.seen(of: train.count), isScaled: measured.isScaled, try await stage.measured())
        }
        return summary
    }
}

extension Curriculum {
    /// How many of the teacher's tasks its stages see in total.
    fileprivate func seen(of tasks: Int) -> Int {
        let from = stages.map(\.tasks.from).min() ?? 0
        let to = stages.map(\.tasks.to).max() ?? 1
        return Int(((to - from) * Double(tasks)).rounded())
    }
}

extension Recipe {
    /// The curricula in the recipe's order, then those on parts of the tasks.
    var allCurricula: [Curriculum] {
        let plain = curricula ?? []
        guard let plan = evaluation.roles else { return plain }
        return plain
            + plain.filter { plan.scaled.contains($0.name) }.flatMap { curriculum in
                plan.shares.map { curriculum.scaled(to: $0) }
            }
    }
}

extension RunContext {
    /// What a call looks like.
    var callForm: RoleView.CallForm { recipe.domain.form == .json ? .json : .program }

    /// The style whose trajectories the roles learn from.
    var roleStyle: Recipe.Style { recipe.domain.form == .json ? .toolAgent : .agent }
}
