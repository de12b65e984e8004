import RetortCore

/// How a trajectory looks to one role, as chat messages with trainable marks.
///
/// The same messages prompt a model while acting and make its training examples, so a student is trained on exactly the
/// tokens it will see. Of an unfinished trajectory the messages end where the role speaks next, and they are the
/// beginning of the messages of every trajectory that goes on from there; in a view that closes with a request of its
/// own (`RoleView`), all but that request is.
public protocol View: Sendable {
    /// The trajectory so far. Only the role's own turns are trainable.
    func messages(for trajectory: Trajectory) -> [Message]

    /// What is said to the role when no steps are left. Follows `messages(for:)` of the unfinished trajectory.
    var lastCall: Message { get }

    /// What a student learns from some steps of a trajectory: one chat, or several, or none. Each has something to learn.
    func examples(for trajectory: Trajectory, learning steps: LearnedSteps) -> [[Message]]

    /// The same view with observations of at most so many characters, for samples that are too long. A view whose
    /// observations are messages of their own, which can be shortened there, gives itself.
    func showing(observationsUpTo characters: Int) -> any View
}

extension View {
    /// Identifies the fixed text of the prompt: the same for every task, another as soon as a word of it changes.
    public var identity: String {
        let probe = Trajectory(
            task: AgentTask(id: "", question: "", answers: [], family: .factual),
            provenance: Provenance(policy: "", model: ""))
        let text = messages(for: probe).map { "\($0.role.rawValue)\n\($0.text)" }.joined(separator: "\n")
        let hash = String(StableHash.of(text), radix: 16)
        return String(repeating: "0", count: 16 - hash.count) + hash
    }

    /// A request that fits every role.
    public var lastCall: Message { Message(.user, "No steps are left. Give your answer now.") }

    /// Itself: its observations are messages of their own.
    public func showing(observationsUpTo characters: Int) -> any View { self }

    /// What a student learns from all of a trajectory.
    public func examples(for trajectory: Trajectory) -> [[Message]] {
        examples(for: trajectory, learning: trajectory.steps(without: []))
    }
}

extension Trajectory {
    /// Whether the last step is an answer that was asked for because no steps were left.
    var endsForced: Bool {
        guard case .forced = ending, case .answer = steps.last?.action else { return false }
        return true
    }
}
