import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortLLM
import RetortRemote
import RetortStore

/// A recipe's teacher behind endpoints or in this process, ready to be asked: through its tape and within its budget.
struct EndpointTeacher: Sendable {
    let model: any LanguageModel
    let budget: Budget
    /// The tools, through the tape.
    let tools: [any Tool]
    /// Nil when all replies come from a tape, or from a checkpoint in this process.
    let remote: RemoteModel?

    /// - Parameters:
    ///   - spent: the spending of earlier runs in the same folder.
    ///   - judges: whether it is a judge, whose replies without a vote are failures.
    ///   - record: records the cost of each reply.
    init(
        _ plan: TeacherPlan, tools: [any Tool], spent: Usage, judges: Bool = false,
        record: @escaping @Sendable (Usage) throws -> Void = { _ in }
    ) async throws {
        let name = try await Self.modelName(plan)
        let limit = plan.budget
        let budget = try Budget(
            tokens: limit?.tokens, money: limit?.money, price: plan.prices[name], model: name, spent: spent,
            record: record)
        self.budget = budget
        let isReplayed = plan.cassette?.mode == .replay
        remote = isReplayed || plan.folder != nil ? nil : try Self.remote(plan, name)
        let local = isReplayed ? nil : try plan.localModel(name)
        let inner = (remote.map { $0 as any LanguageModel } ?? local).map { model -> any LanguageModel in
            let paid = BudgetedModel(model, budget)
            return judges ? VotingModel(paid) : paid
        }
        guard let tape = plan.cassette else {
            guard let inner else { throw RemoteError.configuration("the teacher has no endpoint") }
            model = inner
            self.tools = tools
            return
        }
        let cassette = try Cassette(URL(fileURLWithPath: tape.file), tape.mode)
        model = cassette.model(name, inner)
        self.tools = tools.map { cassette.tool($0) }
    }

    /// The model that the plan names, or the only one of its first endpoint.
    private static func modelName(_ plan: TeacherPlan) async throws -> String {
        if let name = plan.name { return name }
        guard let place = plan.endpoints.first else {
            throw RemoteError.configuration("the teacher has no endpoint and no 'model'")
        }
        return try await place.modelName(seconds: plan.connectSeconds)
    }

    private static func remote(_ plan: TeacherPlan, _ name: String) throws -> RemoteModel {
        var operation = RemoteOptions.Operation.chat
        if plan.operation == .completions, let folder = plan.template {
            let checkpoint = try Checkpoint(folder: URL(fileURLWithPath: folder))
            let (template, tokenizer) = (checkpoint.template, checkpoint.tokenizer)
            operation = .completions { messages, prefill in
                .tokens(try template.render(messages, then: .generation(prefill: prefill), with: tokenizer).tokens)
            }
        }
        let options = RemoteOptions(
            operation: operation,
            limits: .init(
                connect: plan.connectSeconds, firstByte: plan.firstByteSeconds, idle: plan.idleSeconds,
                total: plan.totalSeconds),
            retries: .init(
                attempts: plan.attempts, base: plan.backoffSeconds ?? 0.5, cap: max(30, plan.backoffSeconds ?? 0),
                patience: plan.patienceSeconds),
            queue: max(4096, plan.concurrency * 4), asksForTokenIDs: plan.tokenIDs ?? true)
        return try RemoteModel(plan.endpoints.map { try $0.endpoint(model: name) }, options: options, identity: name)
    }
}

extension TeacherPlan {
    /// The model's name, where the plan gives it.
    var name: String? { asking.model ?? folder.map { URL(fileURLWithPath: $0).lastPathComponent } }

    /// The checkpoint that answers in this process; nil for endpoints.
    fileprivate func localModel(_ name: String) throws -> (any LanguageModel)? {
        try folder.map {
            try LocalModel(
                folder: URL(fileURLWithPath: $0), identity: name,
                options: .evaluation(samples: concurrency, weights: precision))
        }
    }

    /// Only the model behind the endpoints, within the budget, for a `ModelJudge` or a `RubricJudge`.
    /// - Parameter tape: keeps the replies that hold a vote, and answers from those that it has; nil takes the plan's
    ///   own tape, if any.
    /// - Throws: `RemoteError`, `BudgetError`, `CassetteError`.
    public func openJudge(recordingTo tape: String? = nil) async throws -> any LanguageModel {
        var plan = self
        if let tape { plan.cassette = Tape(file: tape, mode: .record) }
        return try await EndpointTeacher(plan, tools: [], spent: Usage(), judges: true).model
    }
}
