import RetortCore
import RetortStore

/// How a run shares its work with other processes.
public struct FleetPlan: Sendable {
    /// Where they meet.
    public var store: FleetStore
    /// How long a task is a worker's without a sign of life, in seconds: what a worker's death costs.
    public var lease: Double
    /// Whether the planning process works, too.
    public var works: Bool

    /// - Parameters:
    ///   - lease: in seconds.
    ///   - works: whether the planning process works, too.
    public init(_ store: FleetStore, lease: Double = 60, works: Bool = true) {
        (self.store, self.lease, self.works) = (store, lease, works)
    }

    /// - Throws: `FleetError.unfit` for what only one process can do.
    func check(_ recipe: Recipe) throws {
        for (name, plan) in [("teacher", recipe.teacher), ("judge", recipe.judge?.access)] {
            guard plan?.cassette?.mode == .record else { continue }
            throw FleetError.unfit(
                "'\(name).cassette' records on a tape of one process; leave it away where a fleet works, or replay one")
        }
    }
}
