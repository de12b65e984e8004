/// An error that may say nothing about the task at hand: a wrong key, a spent budget, a dead endpoint.
///
/// Such an error ends the run instead of a trajectory, so that no task is recorded as failed for it, and the run goes on
/// with the same task when it is started again.
public protocol RunHalting: Error {
    /// Whether this one ends the run.
    var haltsRun: Bool { get }
}

extension Error {
    /// Whether the error ends more than the action at hand: it halts the run, or follows from its cancellation. A tool's own
    /// `CancellationError`, thrown while nobody cancelled anything, is a failure of the tool.
    public var endsRun: Bool {
        if let halting = self as? any RunHalting, halting.haltsRun { return true }
        return Task.isCancelled
    }
}
