import ArgumentParser
import RetortRecipes
import RetortStore

/// The database through which the work of a run is distributed.
struct StoreOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Share the work out through this PostgreSQL database: postgresql://USER@HOST/DATABASE.",
            discussion: "Workers on any number of machines take part: retort worker --store … (docs/fleet.md).",
            valueName: "url"))
    var store: String?

    @Option(help: "With --store: how many seconds a task is a worker's without a sign of life.")
    var lease = 60.0

    @Flag(name: .customLong("plan-only"), help: "With --store: plan and collect, and leave the rollouts to workers.")
    var plansOnly = false

    func validate() throws {
        if store == nil, plansOnly { throw ValidationError("--plan-only is for runs with --store") }
        guard (0.5...86_400).contains(lease) else { throw ValidationError("--lease takes 0.5 to 86400 seconds") }
    }

    /// Opens the database; nil when none is given.
    func open() async throws -> FleetPlan? {
        guard let store else { return nil }
        return FleetPlan(try await FleetStore(store), lease: lease, works: !plansOnly)
    }
}
