import RetortCore

/// One model that thinks, calls a JSON API and answers in one go (ReAct, arXiv 2210.03629): α-UMi's single-LLM baseline.
public struct ToolAgent: Policy {
    /// For records and reports.
    public let name: String
    private let model: RoleModel
    /// How it sees trajectories: what prompts it, and what a student of its work is trained on.
    public let view: RoleView
    private let constraint: OutputConstraint
    private let maximumTokens: Int

    private static let stops = ["\nobservation:", "\nObservation:", "\nuser:"]

    /// - Parameters:
    ///   - tools: of tasks that come with none of their own.
    ///   - guidance: what it is told about its job.
    ///   - constraint: whether the output is held to the view's grammar; the model must be able to.
    ///   - maximumTokens: the most tokens of one turn.
    public init(
        name: String = "single", model: RoleModel, instructions: Instructions = .brief,
        callForm: RoleView.CallForm = .json, observationLimit: Int = RoleView.usualObservationLimit,
        tools: [ToolDocument] = [],
        guidance: String? = nil, constraint: OutputConstraint = .free, maximumTokens: Int = 512
    ) {
        self.init(
            name: name, model: model,
            view: RoleView(
                .backbone, instructions: instructions, callForm: callForm, observationLimit: observationLimit,
                tools: tools, guidance: guidance),
            constraint: constraint, maximumTokens: maximumTokens)
    }

    /// - Parameters:
    ///   - view: how it sees trajectories; that of another role is taken as the single model's.
    ///   - constraint: whether the output is held to the view's grammar; the model must be able to.
    ///   - maximumTokens: the most tokens of one turn.
    public init(
        name: String = "single", model: RoleModel, view: RoleView, constraint: OutputConstraint = .free,
        maximumTokens: Int = 512
    ) {
        self.name = name
        self.model = model
        self.view =
            view.role == .backbone
            ? view
            : RoleView(
                .backbone, instructions: view.instructions, callForm: view.callForm,
                observationLimit: view.observationLimit, tools: view.tools, guidance: view.guidance)
        self.constraint = constraint
        self.maximumTokens = maximumTokens
    }

    /// The model's identity.
    public var modelIdentity: String { model.model.identity }
    /// The view's identity.
    public var promptIdentity: String? { view.identity }

    /// As many steps as are asked for; a text that was cut at the token limit is an unreadable one.
    /// - Throws: what the model throws.
    public func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        let completions = try await model.model.complete(
            GenerationRequest(
                messages: view.messages(for: trajectory, remark: request.remark), samples: request.count,
                sampling: request.sampling, stops: constraint == .grammar ? [] : Self.stops,
                maximumTokens: maximumTokens, adapter: model.adapter,
                grammar: constraint == .grammar ? view.grammar(for: trajectory.task) : nil), emit: emit)
        return completions.map { completion in
            guard completion.finish != .length else {
                return Proposal(
                    thought: "", action: .cut(completion.text, limit: maximumTokens), usage: completion.usage)
            }
            let (thought, action, wording) = RoleParser.backboneTurn(completion.text, callForm: view.callForm)
            return Proposal(thought: thought, action: action, usage: completion.usage, wording: wording)
        }
    }

    /// A run that comes to its end without a conclusion has no answer, as in ToolBench.
    public func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? { nil }
}
