import RetortCore

/// A model, and which of its adapters speaks.
public struct RoleModel: Sendable {
    /// Who speaks.
    public var model: any LanguageModel
    /// By name; nil is the model as it is.
    public var adapter: String?

    /// - Parameter adapter: the name that the model's requests give; behind an endpoint, a model's name there.
    public init(_ model: any LanguageModel, adapter: String? = nil) {
        self.model = model
        self.adapter = adapter
    }
}

/// Whether a model can write what is no call, no decision, or a name that was not offered.
public enum OutputConstraint: String, Codable, Sendable, CaseIterable {
    /// It writes what it likes, and may be misread.
    case free
    /// Only what the role's grammar allows: one of the decisions, one of the names, valid arguments.
    case grammar
}

/// Planner, caller and summarizer, each with a view and a model of its own (α-UMi, arXiv 2401.07324).
///
/// A step is the planner's rationale and decision, then the caller's request or the summarizer's answer. The three may be
/// three models, or one with three adapters; the latter holds the backbone once.
public struct RolePolicy: Policy {
    /// For records and reports.
    public let name: String
    private let models: [AgentRole: RoleModel]
    private let instructions: Instructions
    private let callForm: RoleView.CallForm
    private let observationLimit: Int
    private let tools: [ToolDocument]
    private let guidance: String?
    private let constraint: OutputConstraint
    private let maximumTokens: Int

    /// An empty plan is asked for again so many times (as the original does).
    private static let attempts = 5
    /// Whoever speaks next in the dialogue is not the model.
    private static let stops = ["\nobservation:", "\nuser:"]

    /// - Parameters:
    ///   - tools: of tasks that come with none of their own.
    ///   - guidance: what the roles are told about the job.
    ///   - constraint: whether outputs are held to the roles' grammars; the model must be able to.
    ///   - maximumTokens: the most tokens of one role's turn.
    public init(
        name: String = "umi", planner: RoleModel, caller: RoleModel, summarizer: RoleModel,
        instructions: Instructions = .brief, callForm: RoleView.CallForm = .json,
        observationLimit: Int = RoleView.usualObservationLimit,
        tools: [ToolDocument] = [], guidance: String? = nil, constraint: OutputConstraint = .free,
        maximumTokens: Int = 512
    ) {
        self.tools = tools
        self.guidance = guidance
        self.name = name
        models = [.planner: planner, .caller: caller, .summarizer: summarizer]
        self.instructions = instructions
        self.callForm = callForm
        self.observationLimit = observationLimit
        self.constraint = constraint
        self.maximumTokens = maximumTokens
    }

    /// The name of the model that all roles share, or else the three names, joined by `+`.
    public var modelIdentity: String {
        let names = [AgentRole.planner, .caller, .summarizer].compactMap { models[$0]?.model.identity }
        return Set(names).count == 1 ? names.first ?? "" : names.joined(separator: "+")
    }
    /// The identities of the three views.
    public var promptIdentity: String? {
        [AgentRole.planner, .caller, .summarizer].map { view($0).identity }.joined(separator: "+")
    }

    /// As many steps as are asked for, each from a plan of its own; what the planner calls for is drawn once a plan.
    /// - Throws: what a model throws, and `LanguageModelError.sampleMissing`.
    public func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        let plans = try await plans(trajectory, request, emit)
        if let plan = plans.first, plans.count == 1 {
            return [try await carryOut(plan, 0, trajectory, request, emit)]
        }
        return try await withThrowingTaskGroup(of: (Int, Proposal).self) { group in
            for (index, plan) in plans.enumerated() {
                group.addTask { (index, try await carryOut(plan, index, trajectory, request) { _ in }) }
            }
            var proposals: [Int: Proposal] = [:]
            for try await (index, proposal) in group { proposals[index] = proposal }
            return plans.indices.compactMap { proposals[$0] }
        }
    }

    /// A run that comes to its end without a conclusion has no answer, as in ToolBench.
    public func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? { nil }

    /// The planner's samples; empty ones are drawn again.
    private func plans(
        _ trajectory: Trajectory, _ request: ProposalRequest, _ emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Completion] {
        let messages = view(.planner).messages(for: trajectory, remark: request.remark)
        var plans = try await speak(
            .planner, messages, trajectory.task, samples: request.count, request.sampling, emit)
        for attempt in 0..<Self.attempts {
            for index in plans.indices where plans[index].text.trimmed.isEmpty {
                var sampling = request.sampling
                sampling.temperature = max(sampling.temperature, 0.5)
                sampling.firstIsGreedy = false
                sampling.seed = StableHash.of("\(sampling.seed) \(index) \(attempt)")
                let again = try await speak(.planner, messages, trajectory.task, samples: 1, sampling, emit)
                guard var plan = again.first else { continue }
                plan.usage = plan.usage + plans[index].usage
                plans[index] = plan
            }
        }
        return plans
    }

    /// What the role that the planner called makes of it.
    private func carryOut(
        _ plan: Completion, _ index: Int, _ trajectory: Trajectory, _ request: ProposalRequest,
        _ emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal {
        guard !plan.text.trimmed.isEmpty else {
            let reason = "the planner wrote nothing, \(Self.attempts + 1) times"
            return Proposal(
                thought: "", action: .unparsable(text: plan.text, reason: reason), usage: plan.usage,
                speaker: AgentRole.planner.rawValue)
        }
        let (thought, decision) = RoleParser.plan(plan.text)
        var proposal = Proposal(
            thought: thought, action: .giveUp(reason: thought), usage: plan.usage, speaker: AgentRole.planner.rawValue)
        guard decision != .giveUp else { return proposal }
        let role = decision == .caller ? AgentRole.caller : .summarizer
        let messages = view(role).messages(
            for: trajectory, remark: request.remark, plan: RoleWords.planner(thought, decision))
        var sampling = request.sampling.forSample(index)
        sampling.seed = StableHash.of("\(sampling.seed) \(index) \(role.rawValue)")
        emit(.text("\n"))
        let completions = try await speak(role, messages, trajectory.task, samples: 1, sampling, emit)
        guard let completion = completions.first else { throw LanguageModelError.sampleMissing(0) }
        proposal.usage = proposal.usage + completion.usage
        (proposal.action, proposal.wording) = action(completion, role)
        return proposal
    }

    private func action(_ completion: Completion, _ role: AgentRole) -> (Action, wording: String?) {
        let text = completion.text
        guard completion.finish != .length else { return (.cut(text, limit: maximumTokens), nil) }
        guard role == .caller else {
            return text.trimmed.isEmpty
                ? (.unparsable(text: text, reason: "the summarizer wrote nothing"), nil)
                : (.answer(.string(text.trimmed)), nil)
        }
        switch callForm {
        case .json: return RoleParser.call(text)
        case .program: return (ActionParser.codeTurn(text).action, nil)
        }
    }

    private func speak(
        _ role: AgentRole, _ messages: [Message], _ task: AgentTask, samples: Int, _ sampling: Sampling,
        _ emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Completion] {
        guard let speaker = models[role] else { return [] }
        return try await speaker.model.complete(
            GenerationRequest(
                messages: messages, samples: samples, sampling: sampling,
                stops: constraint == .grammar ? [] : Self.stops,
                maximumTokens: maximumTokens, adapter: speaker.adapter,
                grammar: constraint == .grammar ? view(role).grammar(for: task) : nil), emit: emit)
    }

    private func view(_ role: AgentRole) -> RoleView {
        RoleView(
            role, instructions: instructions, callForm: callForm, observationLimit: observationLimit, tools: tools,
            guidance: guidance)
    }
}

extension Action {
    private static let cutReason = "the text was cut at the token limit"

    /// A text that ended at the token limit holds no action, however it looks.
    static func cut(_ text: String, limit: Int) -> Action {
        .unparsable(text: text, reason: "\(cutReason) of \(limit); write less")
    }

    /// Whether it is a text that ended at the token limit.
    public var isCut: Bool {
        if case .unparsable(_, let reason) = self { reason.hasPrefix(Self.cutReason) } else { false }
    }
}
