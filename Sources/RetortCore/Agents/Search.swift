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

    /// Goes on with a trajectory until it ends or has `maximumSteps` steps.
    ///
    /// Step after step unless a search does otherwise: one that goes back and tries again sees the whole tree here, and
    /// leaves the branch it settled on. The environment is always the one to close, also after an error.
    func pursue(
        _ trajectory: inout Trajectory, in environment: inout any Environment, policy: any Policy, maximumSteps: Int,
        emit: @Sendable (RolloutEvent) -> Void
    ) async throws
}

extension Search {
    /// Takes steps until the trajectory ends or the limit is reached.
    public func pursue(
        _ trajectory: inout Trajectory, in environment: inout any Environment, policy: any Policy, maximumSteps: Int,
        emit: @Sendable (RolloutEvent) -> Void
    ) async throws {
        while trajectory.ending == nil, trajectory.steps.count < maximumSteps {
            try Task.checkCancellation()
            emit(.stepStarted(trajectory.steps.count))
            let advance = try await advance(
                trajectory, policy: policy, environment: environment, seed: trajectory.stepSeed, emit: emit)
            environment = advance.environment
            trajectory.append(advance.step)
            if let ending = advance.step.ending { trajectory.end(ending) }
            emit(.stepFinished(advance.step))
        }
    }
}

extension Trajectory {
    /// Depends on the run, the task and the step alone, so results do not depend on what else runs beside them.
    public var stepSeed: UInt64 {
        StableHash.of("\(provenance.seed) \(task.id) \(provenance.attempt) \(steps.count)")
    }
}

extension Step {
    /// How the run ends with this step; nil when it goes on.
    public var ending: Ending? {
        switch (observation.outcome, action) {
        case (.final(let value), _): .answered(value)
        case (_, .giveUp(let reason)): .gaveUp(reason)
        default: nil
        }
    }
}

/// A step taken, and the environment after it.
public struct Advance: Sendable {
    /// What happened.
    public var step: Step
    /// Where the next step happens.
    public var environment: any Environment

    /// A step that was taken, and the environment that it left.
    public init(step: Step, environment: any Environment) {
        self.step = step
        self.environment = environment
    }
}
