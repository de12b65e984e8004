/// How branches are explored. Works with every policy and environment, for all it needs is `propose` and `fork`.
public protocol Search: Sendable {
    /// A name for records and reports, such as `greedy`.
    var name: String { get }

    /// Takes the next step of a trajectory.
    ///
    /// The environment returned holds the state after the step; it may be another than the one given, which is then
    /// already closed.
    func advance(
        _ trajectory: Trajectory, policy: any Policy, environment: any Environment, seed: UInt64,
        emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Advance
}

/// A step taken, and the environment after it.
public struct Advance: Sendable {
    /// What happened.
    public var step: Step
    /// Where the next step happens.
    public var environment: any Environment

    public init(step: Step, environment: any Environment) {
        self.step = step
        self.environment = environment
    }
}
