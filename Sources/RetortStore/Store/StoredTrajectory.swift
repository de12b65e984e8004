import RetortCore

/// A trajectory as a store holds it: with its grade, once it has one.
public struct StoredTrajectory: Codable, Sendable, Hashable {
    /// The trajectory.
    public var trajectory: Trajectory
    /// How the answer was graded; nil when it was not.
    public var verdict: Verdict?
    /// The verdict of a model that judges, in addition to the grade; nil when none was asked.
    public var judge: Verdict?
    /// The verdicts of other graders, in addition to the grade, by their titles; nil when none was asked.
    public var also: [String: Verdict]?
    /// A person's label; nil when there is none. It is saved separately (`TrajectoryStore.label`).
    public var label: TrajectoryLabel?

    /// A trajectory with its verdicts and its label.
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
