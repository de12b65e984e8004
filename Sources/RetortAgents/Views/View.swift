import RetortCore

/// How a trajectory looks to one role, as chat messages with trainable marks.
///
/// The same messages prompt a model while acting and make its training examples, so a student is trained on exactly the
/// tokens it will see. Of an unfinished trajectory the messages end where the role speaks next.
public protocol View: Sendable {
    /// The trajectory so far.
    func messages(for trajectory: Trajectory) -> [Message]

    /// What a student learns from a trajectory: one chat, or several.
    func examples(for trajectory: Trajectory) -> [[Message]]
}

extension View {
    public func examples(for trajectory: Trajectory) -> [[Message]] { [messages(for: trajectory)] }
}
