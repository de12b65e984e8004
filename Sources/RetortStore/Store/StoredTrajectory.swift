import RetortCore

/// A trajectory as a store holds it: with its grade, once it has one.
public struct StoredTrajectory: Codable, Sendable, Hashable {
    /// What happened.
    public var trajectory: Trajectory
    /// How the answer was graded; nil when it was not.
    public var verdict: Verdict?
    /// What a model that judges says of the answer, beside the grade; nil when none was asked.
    public var judge: Verdict?
    /// What other graders say, beside the grade, by what they are called; nil when none was asked.
    public var also: [String: Verdict]?
    /// What somebody said of it by hand; nil when nobody did. It is saved by itself (`TrajectoryStore.label`).
    public var label: TrajectoryLabel?

    public init(
        trajectory: Trajectory, verdict: Verdict?, judge: Verdict? = nil, also: [String: Verdict]? = nil,
        label: TrajectoryLabel? = nil
    ) {
        self.trajectory = trajectory
        self.verdict = verdict
        self.judge = judge
        self.also = also
        self.label = label
    }
}
