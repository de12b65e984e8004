/// An error that may say nothing about the task at hand: a wrong key, a spent budget, a dead endpoint.
///
/// Such an error ends the run instead of a trajectory, so that no task is recorded as failed for it, and the run goes on
/// with the same task when it is started again.
public protocol RunHalting: Error {
    /// Whether this one ends the run.
    var haltsRun: Bool { get }
}
