import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortLLM
import RetortStore

/// What a student of a kind does in one of its rounds, from 1.
struct StudentRound: Sendable {
    let context: RunContext
    let student: Recipe.Student
    let style: Recipe.Style
    let number: Int

    /// The name of the stage and the set of one of its loops.
    func name(_ loop: String) -> String { "\(loop)/\(student.name)/\(Self.label(style, number))" }

    /// The name of a round's training: the first one, from the teacher alone, has the style's name.
    static func label(_ style: Recipe.Style, _ number: Int) -> String {
        number == 0 ? style.rawValue : "\(style.rawValue)@\(number)"
    }

    /// The training that produced the student.
    var before: String { TrainStage.name(student, style, round: number - 1) }

    /// The weights that the student acts with.
    var models: [URL] { trained?.folders ?? [] }

    private var trained: TrainedStage? {
        context.recipe.training[style].map { plan in
            TrainStage(context: context, student: student, style: style, plan: plan, round: number - 1).trained
        }
    }

    /// What its runs depend on.
    func inputs() throws -> [StageInput] {
        let plan = context.recipe.evaluation
        var inputs = try context.common() + context.trainingTasks() + [context.grading()]
        inputs += [.view("prompt", context.view(style))] + (try context.shown(to: style))
        inputs += [
            try .setting("evaluation.maxTokens", plan.maximumTokens),
            try .setting("evaluation.weights", plan.weights ?? .usual(on: .cpu)),
        ]
        if style.isAgent {
            inputs += [
                try .setting("evaluation.maxSteps", plan.maximumSteps),
                try .setting("evaluation.programSeconds", plan.programSeconds),
            ]
        }
        if style.isAgent || style == .cotWithRetrieval { inputs += try context.tools() }
        return inputs
    }

    /// The student's rollout.
    /// - Parameters:
    ///   - sampling: how its tokens are sampled.
    ///   - isVoted: whether several proposals for each step vote, with the settings of the recipe's evaluation.
    func rollout(_ sampling: Sampling, votes isVoted: Bool = false) throws -> Rollout {
        guard let trained else { throw RunError.noTeacher }
        let evaluation = context.recipe.evaluation
        let models = try AgentPlayers.trained(
            [.backbone: trained], identity: student.name,
            options: .evaluation(
                samples: max(evaluation.concurrency, isVoted ? evaluation.vote.samples : 1),
                weights: evaluation.weights))
        let source = context.source
        return try context.agentPlan(style).rollout(
            models, host: source.tools, retriever: source.domain.retriever,
            way: isVoted ? AgentWay(search: .vote) : AgentWay(search: .greedy, sampling: sampling),
            session: context.sessions(style.form ?? .code))
    }

    /// Checks that a teacher behind endpoints reports probabilities of the student's own tokens, before anything is
    /// sampled for it.
    func checkTeacher() async throws {
        guard let teacher = context.recipe.teacher, teacher.folder == nil else { return }
        let files = TrainingFiles(context.folder.url, "\(student.name)-\(Self.label(style, number).fileName)")
        let tokenizer = try Checkpoint(folder: URL(fileURLWithPath: student.base)).tokenizer
        try await context.endpointScores(teacher, files.told).check(tokenizer)
    }

    /// The stages of the round, each after those it needs.
    func stages(_ plan: RoundPlan) -> [any Stage] {
        var stages: [any Stage] = []
        if let rejection = plan.rejection { stages.append(RejectionStage(round: self, plan: rejection)) }
        if let repair = plan.repair {
            stages += [ActStage(round: self), RepairStage(round: self, plan: repair)] as [any Stage]
        }
        for draws in plan.draws { stages.append(RejectionStage(round: self, plan: draws.plan, loop: draws.loop)) }
        if let policy = plan.continuation { stages.append(ContinuationStage(round: self, plan: policy)) }
        if plan.preference?.forks == true { stages.append(ForkStage(round: self)) }
        return stages
    }

    /// The stages that its training learns from, in addition to the teacher's.
    func lessons(_ plan: RoundPlan) -> [String] {
        (plan.rejection == nil ? [] : [name(RejectionStage.loop)])
            + (plan.repair == nil ? [] : [name(RepairStage.loop)])
            + plan.draws.map { name($0.loop) }
            + (plan.continuation == nil ? [] : [name(ContinuationStage.loop)])
            + (plan.preference?.forks == true ? [name(ForkStage.loop)] : [])
    }
}

extension Recipe {
    /// The rounds of a kind of student; none where it learns only from the teacher.
    func rounds(of style: Style) -> [RoundPlan] { rounds?[style] ?? [] }
}
