import RetortCore

/// A model that reasons and answers in one go: the baseline without tools, or over passages fetched for the question.
public struct ChainOfThought: Policy {
    /// For records and reports.
    public let name: String
    private let model: any LanguageModel
    private let view: ChainOfThoughtView
    private let retriever: (any Tool)?
    private let maximumTokens: Int

    /// - Parameters:
    ///   - retriever: a tool with the one argument `query`; the question itself is the query. The environment must
    ///     offer the tool.
    ///   - maximumTokens: the most tokens of the turn; a longer one holds no answer.
    public init(
        model: any LanguageModel, view: ChainOfThoughtView, retriever: (any Tool)? = nil, maximumTokens: Int = 1024
    ) {
        name = retriever == nil ? "cot" : "cot+rag"
        self.model = model
        self.view = view
        self.retriever = retriever
        self.maximumTokens = maximumTokens
    }

    /// The model's.
    public var modelIdentity: String { model.identity }
    /// The view's.
    public var promptIdentity: String? { view.identity }

    /// The retrieval first, when there is one; then the reasoning and the answer; then, should that hold no answer,
    /// nothing more.
    public func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        if let retriever, trajectory.steps.isEmpty {
            let call = Action.toolCall(
                name: retriever.specification.name, arguments: ["query": .string(trajectory.task.question)])
            return Array(
                repeating: Proposal(thought: "", action: call, speaker: ChainOfThoughtView.retriever),
                count: request.count)
        }
        if trajectory.steps.contains(where: { $0.speaker != ChainOfThoughtView.retriever }) {
            let end = Action.giveUp(reason: "the reasoning held no answer")
            return Array(repeating: Proposal(thought: "", action: end), count: request.count)
        }
        let completions = try await model.complete(
            GenerationRequest(
                messages: view.messages(for: trajectory), samples: request.count, sampling: request.sampling,
                maximumTokens: maximumTokens), emit: emit)
        return completions.map {
            Proposal($0, limit: maximumTokens, reading: ActionParser.reasonedTurn, writing: ChainOfThoughtView.turn)
        }
    }

    /// There is no second turn to ask in.
    public func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? { nil }

    /// One try, and the fetching of passages before it: the step limit for a `Rollout` of this policy.
    public var maximumSteps: Int { retriever == nil ? 1 : 2 }
}
