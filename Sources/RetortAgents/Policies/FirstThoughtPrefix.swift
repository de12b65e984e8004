import RetortCore
import Synchronization

/// A code agent whose first turn begins with the first thought of its model's own chain of thought (arXiv 2505.17612,
/// equation 5). For teachers only: what it makes is recorded and learned from whole, and the student needs no prefix.
///
/// A task whose solution has no usable first thought is worked on without one.
public final class FirstThoughtPrefix: Policy {
    /// What became of the solutions.
    public struct Tally: Sendable, Hashable {
        /// Turns that began with a thought.
        public var used = 0
        /// What was done to some of them.
        public var repairs: [FirstThought.Repair: Int] = [:]
        /// Turns that began without, and why.
        public var faults: [FirstThought.Fault: Int] = [:]
    }

    /// For records and reports.
    public let name: String
    private let agent: CodeAgent
    private let model: any LanguageModel
    private let view: ChainOfThoughtView
    private let maximumTokens: Int
    private let state = Mutex(Tally())

    /// - Parameters:
    ///   - model: reasons; usually the agent's own.
    ///   - maximumTokens: the most tokens of the solution.
    public init(
        _ agent: CodeAgent, reasoning model: any LanguageModel, view: ChainOfThoughtView, maximumTokens: Int = 1024
    ) {
        name = "\(agent.name)+ftp"
        self.agent = agent
        self.model = model
        self.view = view
        self.maximumTokens = maximumTokens
    }

    /// The agent's model's.
    public var modelIdentity: String { agent.modelIdentity }
    /// The agent's: the solution's prompt is in no trajectory.
    public var promptIdentity: String? { agent.promptIdentity }

    /// What became of the solutions so far.
    public var tally: Tally { state.withLock { $0 } }

    /// The agent's proposals; those for the first step go on from the first thought of a solution made for them.
    public func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        guard trajectory.steps.isEmpty else { return try await agent.propose(for: trajectory, request, emit: emit) }
        let (thought, cost) = try await firstThought(trajectory, request.sampling)
        let prefill = thought.map { "Thought: \($0)\n" } ?? ""
        var proposals = try await agent.propose(for: trajectory, request, prefill: prefill, emit: emit)
        if !proposals.isEmpty { proposals[0].usage = proposals[0].usage + cost }
        return proposals
    }

    /// The agent's answer when no steps are left, without a prefix.
    public func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? { try await agent.conclude(trajectory, seed: seed, emit: emit) }

    private func firstThought(
        _ trajectory: Trajectory, _ sampling: Sampling
    ) async throws -> (thought: String?, cost: Usage) {
        var sampling = sampling
        sampling.seed = StableHash.of("first thought \(sampling.seed)")
        let completions = try await model.complete(
            GenerationRequest(
                messages: view.messages(for: trajectory), sampling: sampling, maximumTokens: maximumTokens))
        guard let completion = completions.first else { throw LanguageModelError.sampleMissing(0) }
        let task = trajectory.task
        let first = FirstThought(
            of: completion.text, question: task.question, answers: task.answers, isWhole: completion.finish != .length)
        state.withLock { tally in
            switch first {
            case .usable(_, let repairs):
                tally.used += 1
                for repair in repairs { tally.repairs[repair, default: 0] += 1 }
            case .unusable(let fault): tally.faults[fault, default: 0] += 1
            }
        }
        guard case .usable(let thought, _) = first else { return (nil, completion.usage) }
        return (thought, completion.usage)
    }
}
