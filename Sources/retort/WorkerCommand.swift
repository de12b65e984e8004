import ArgumentParser
import Foundation
import RetortRecipes
import RetortStore

/// `retort worker`
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Work on a run that another machine plans, through their PostgreSQL database.",
        discussion: """
            Somewhere 'retort run RECIPE --store URL' plans a run. Any number of workers, on any machines, take its \
            tasks one by one, and each result is recorded exactly once, even if workers die: a worker that is not \
            heard of loses its tasks to others. A worker ends when the run is done.

              retort worker --store postgresql://retort@db/fleet
              retort worker --store postgresql://retort@db/fleet --endpoint http://127.0.0.1:8000/v1

            The recipe comes from the database. Files that it names are used from this machine if they have the same \
            content here, and are otherwise sent by the planner. With a RECIPE on this machine, its own paths are \
            used. In both cases a worker refuses to start if anything that results depend on differs, and says what. A \
            key that the recipe names by a variable must be in each worker's environment.
            """)

    @Argument(
        help: ArgumentHelp("This machine's copy of the recipe; the database's unless given.", valueName: "recipe"))
    var recipe: String?

    @Option(help: ArgumentHelp("The database: postgresql://USER@HOST/DATABASE.", valueName: "url"))
    var store: String

    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("The run; the only one that is not done unless given.", valueName: "name"))
    var runName: String?

    @Option(
        name: .customLong("endpoint"),
        help: ArgumentHelp("Where the recipe's teacher is asked from here; may be repeated.", valueName: "url"))
    var endpoints: [String] = []

    @Option(
        name: .customLong("endpoint-key"),
        help: ArgumentHelp("The environment variable that holds that endpoint's key.", valueName: "variable"))
    var key: String?

    @Option(help: "Tasks at once; what the recipe says unless given.")
    var concurrency: Int?

    @Option(help: "End after so many seconds without anything to do.")
    var idle = 3600.0

    @Option(
        help:
            "Where indices and files that were sent are kept; runs/workers/N, the first that no other worker has, unless given."
    )
    var folder: String?

    @OptionGroup var sandbox: SandboxOptions

    func validate() throws {
        if let concurrency, !(1...4096).contains(concurrency) {
            throw ValidationError("--concurrency takes 1 to 4096")
        }
        if key != nil, endpoints.isEmpty { throw ValidationError("--endpoint-key is the key of an --endpoint") }
        guard idle > 0 else { throw ValidationError("--idle takes more than 0 seconds") }
    }

    func run() async throws {
        var options = FleetWorker.Options()
        (options.run, options.endpoints, options.key) = (runName, endpoints, key)
        (options.concurrency, options.idle, options.sandbox) = (concurrency, idle, sandbox.required)
        let store = try await FleetStore(store)
        let own = try await recipe.asyncMap { path in
            try await Recipe(URL(fileURLWithPath: path)).locatingModels(fetching: true)
        }
        let done = try await FleetWorker(store, folder: place(), recipe: own, options: options).run()
        print("\(done.done) tasks done, \(done.failed) of them failed, \(done.dropped) came too late to count")
    }

    /// A folder that no other worker uses.
    private func place() throws -> URL {
        if let folder { return URL(fileURLWithPath: folder) }
        for number in 1...4096 {
            let url = URL(fileURLWithPath: "runs/workers/\(number)")
            if !RunFolder.isInUse(url) { return url }
        }
        throw ValidationError("runs/workers is full of workers; name a --folder")
    }
}

extension Optional where Wrapped: Sendable {
    /// Maps the value, if there is one, with an asynchronous body.
    fileprivate func asyncMap<Value>(_ body: (Wrapped) async throws -> Value) async rethrows -> Value? {
        if let self { try await body(self) } else { nil }
    }
}
