/// A view and a model: proposes the next actions of a trajectory.
public protocol Policy: Sendable {
    /// A name for records and reports, such as `agent` or `cot`.
    var name: String { get }
    /// The identity of the model behind it.
    var modelIdentity: String { get }
    /// Identifies the prompt's fixed text; nil when it has none.
    var promptIdentity: String? { get }

    /// Proposes `request.count` next actions, in sample order.
    func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal]

    /// The answer it would give now, asked for when the step limit is reached; nil when it has none.
    func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal?
}

extension Policy {
    /// No prompt that is known.
    public var promptIdentity: String? { nil }
}

/// How many proposals, and how they are sampled.
public struct ProposalRequest: Sendable {
    /// How many independent proposals.
    public var count: Int
    /// How their tokens are chosen.
    public var sampling: Sampling
    /// What the user says for this proposal alone, such as what was tried before; nil for nothing.
    public var remark: String?

    /// One greedy proposal, unless said otherwise.
    public init(count: Int = 1, sampling: Sampling = .greedy, remark: String? = nil) {
        self.count = count
        self.sampling = sampling
        self.remark = remark
    }
}

/// A thought and an action, not yet performed.
public struct Proposal: Sendable, Hashable {
    /// The reasoning.
    public var thought: String
    /// What to do.
    public var action: Action
    /// What it cost.
    public var usage: Usage
    /// What the model wrote, when it is known.
    public var transcript: Transcript?
    /// Who speaks: `agent`, or the name of a role.
    public var speaker: String
    /// The action as it was written, where its canonical text would differ.
    public var wording: String?

    /// A thought and an action that nobody performed yet.
    public init(
        thought: String, action: Action, usage: Usage = Usage(), transcript: Transcript? = nil,
        speaker: String = "agent", wording: String? = nil
    ) {
        self.thought = thought
        self.action = action
        self.usage = usage
        self.transcript = transcript
        self.speaker = speaker
        self.wording = wording
    }
}

/// What happens while a trajectory grows.
public enum RolloutEvent: Sendable {
    /// Step `index` (from 0) begins.
    case stepStarted(Int)
    /// The model writes; only sent when a single proposal is asked for.
    case text(String)
    /// A step is complete.
    case stepFinished(Step)
    /// The trajectory is complete.
    case finished(Trajectory)
}
