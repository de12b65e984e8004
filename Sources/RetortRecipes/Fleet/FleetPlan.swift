import RetortCore
import RetortStore

/// How a run shares its work with other processes.
public struct FleetPlan: Sendable {
    /// The store that they share.
    public var store: FleetStore
    /// How long a claim lasts without a sign of life, in seconds; after a worker's death, its tasks wait this long.
    public var lease: Double
    /// Whether the planning process also works on tasks.
    public var works: Bool

    /// - Parameters:
    ///   - lease: in seconds.
    ///   - works: whether the planning process also works on tasks.
    public init(_ store: FleetStore, lease: Double = 60, works: Bool = true) {
        (self.store, self.lease, self.works) = (store, lease, works)
    }

    /// - Throws: `FleetError.unfit` for a recipe that only one process can carry out.
    func check(_ recipe: Recipe) throws {
        for (name, plan) in [("teacher", recipe.teacher), ("judge", recipe.judge?.access)] {
            guard plan?.cassette?.mode == .record else { continue }
            throw FleetError.unfit(
                "'\(name).cassette' records on a tape of one process; leave it away where a fleet works, or replay one")
        }
    }
}
