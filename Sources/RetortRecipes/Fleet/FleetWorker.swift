import Foundation
import RetortAgents
import RetortCore
import RetortPython
import RetortStore

/// Works on the tasks that a planner put into a shared store, until the run is done.
///
/// ```swift
/// let store = try await FleetStore("postgresql://retort@db/fleet")
/// try await FleetWorker(store, folder: folder).run()
/// ```
package struct FleetWorker: Sendable {
    /// What differs on this machine.
    package struct Options: Sendable {
        /// The run's name; nil is the only one that is not done.
        package var run: String?
        /// Endpoints instead of those of the recipe's teacher.
        package var endpoints: [String] = []
        /// The environment variable that holds their key.
        package var key: String?
        /// How many tasks are done at the same time; nil is the recipe's number.
        package var concurrency: Int?
        /// How long it waits without anything to do before it ends, in seconds.
        package var idle = 3600.0
        /// The weakest acceptable sandbox for programs.
        package var sandbox = SandboxLevel.restricted

        /// Everything as in the run.
        package init() {}
    }

    private let store: FleetStore
    private let folder: URL
    private let options: Options
    /// The recipe on this machine; nil takes the store's.
    private let own: Recipe?

    /// The pause before it searches for a stage again, in seconds.
    private static let pause = 0.5

    /// - Parameters:
    ///   - folder: this worker's own folder, for what it makes of documents and for received files.
    ///   - recipe: the recipe on this machine. Its files are read at the paths it names, and must be those that the
    ///     planner has.
    package init(_ store: FleetStore, folder: URL, recipe: Recipe? = nil, options: Options = Options()) {
        (self.store, self.folder, own, self.options) = (store, folder, recipe, options)
    }

    /// Works until the run is done.
    /// - Returns: what it did.
    /// - Throws: `FleetError` where its work would differ from the planned work, or there was nothing to do for too
    ///   long; errors that halt a run.
    package func run() async throws -> FleetSign {
        let name = FleetParticipant.ownName()
        var total = FleetSign()
        while true {
            let planned = try await planned()
            guard planned.version == Retort.version else {
                throw FleetError.otherVersion(run: planned.name, theirs: planned.version, own: Retort.version)
            }
            let hand = FleetParticipant(
                store, run: planned.name, name: name, lease: planned.lease, width: options.concurrency)
            hand.go(on: total)
            do {
                let isDone = try await hand.beating { try await self.work(on: planned, hand) }
                total = hand.sign
                guard !isDone else {
                    await hand.leave()
                    return total
                }
            } catch {
                await Task { await hand.leave() }.value
                throw error
            }
        }
    }

    /// Waits for the run to be planned.
    private func planned() async throws -> FleetRun {
        let name = options.run ?? own?.name
        let start = ContinuousClock.now
        while true {
            if let run = try await store.run(name) { return run }
            guard start.duration(to: .now) < .seconds(options.idle) else {
                let what = name.map { "the run '\($0)' was not planned" } ?? "no run was planned"
                throw FleetError.idle(seconds: options.idle, what: what)
            }
            try await Task.sleep(for: .seconds(Self.pause))
        }
    }

    /// Works on a run until its recipe changes.
    /// - Returns: whether the run is done.
    private func work(on planned: FleetRun, _ hand: FleetParticipant) async throws -> Bool {
        // A finished run needs no preparation.
        guard !planned.isDone else { return true }
        let own = try RunFolder(folder)
        let fetch = FleetFetch(
            store: store, run: planned.name, folder: folder.appendingPathComponent("files"),
            digests: FileDigests(own.digestsFile))
        let recipe = try await recipe(planned, fetch)
        let run = try await RecipeRun(recipe, in: own, requiring: options.sandbox) { _, _ in FleetLabour(hand) }
        return try await run.closing { run in try await work(on: planned, hand, run.context, fetch) }
    }

    private func work(
        on planned: FleetRun, _ hand: FleetParticipant, _ context: RunContext, _ fetch: FleetFetch
    ) async throws -> Bool {
        let stages = try await RecipeStages(context).upTo(.evaluate)
        var since = ContinuousClock.now
        while true {
            try Task.checkCancellation()
            let now = try await store.run(planned.name)
            guard let now, now.recipe == planned.recipe, now.roots == planned.roots, now.version == planned.version
            else {
                return now == nil
            }
            if let open = try await store.openStage(of: planned.name) {
                guard let stage = stages.first(where: { $0.name == open.name }) else {
                    throw FleetError.otherInputs(stage: open.name, differences: ["the recipe here has no such stage"])
                }
                try await check(stage, open)
                try await fetch.models(FleetFetch.roots(open.models, store), into: context.folder.url)
                let before = hand.sign.done
                note("takes part in \(stage.name)")
                _ = try await stage.run()
                if hand.sign.done > before {
                    since = .now
                    note("\(stage.name): \(hand.sign.done - before) done here")
                }
            } else if now.isDone {
                return true
            }
            guard since.duration(to: .now) < .seconds(options.idle) else {
                throw FleetError.idle(seconds: options.idle, what: "there was nothing to do in '\(planned.name)'")
            }
            try await Task.sleep(for: .seconds(Self.pause))
        }
    }

    private func recipe(_ planned: FleetRun, _ fetch: FleetFetch) async throws -> Recipe {
        var recipe: Recipe
        if let own {
            guard own.name == planned.name else { throw FleetError.noRun(own.name, known: [planned.name]) }
            recipe = own
        } else {
            recipe = try await fetch.recipe(planned.recipe, roots: FleetFetch.roots(planned.roots, store))
        }
        guard !options.endpoints.isEmpty else { return recipe }
        guard let first = recipe.teacher?.endpoints.first else {
            throw FleetError.unfit("'\(planned.name)' has no teacher behind endpoints; leave out --endpoint")
        }
        // Only the place that is asked differs, not the question.
        recipe.teacher?.endpoints = options.endpoints.map { url in
            var place = first
            place.url = url
            if let key = options.key { (place.key, place.keyFile) = (key, nil) }
            return place
        }
        return recipe
    }

    private func note(_ text: String) { ProgressLine("worker").note(text) }

    /// Checks that a stage depends on the same things here as where it was planned.
    private func check(_ stage: any Stage, _ planned: FleetStage) async throws {
        let here = Scheduler.named(try await stage.inputs())
        // Outputs of other stages are identified by the models that come with them.
        var there = planned.inputs.filter { !$0.key.hasPrefix("stage ") }
        var own = here
        if !options.endpoints.isEmpty, there["teacher's model"]?.contains("://") == true {
            // The recipe does not name the model, so it was identified by its address.
            (there["teacher's model"], own["teacher's model"]) = (nil, nil)
        }
        let differences = Set(there.keys).union(own.keys).filter { there[$0] != own[$0] }.sorted()
        guard differences.isEmpty else {
            throw FleetError.otherInputs(
                stage: stage.name,
                differences: differences.map { "\($0): \(there[$0] ?? "none") there, \(own[$0] ?? "none") here" })
        }
    }
}

/// A worker's part of the sharing: it does what the planner planned.
final class FleetLabour: WorkSharing {
    private let hand: FleetParticipant

    init(_ hand: FleetParticipant) { self.hand = hand }

    func open(_ stage: String, phase: Int, into set: String) async throws {}

    func share<Job: Codable & Sendable>(
        _ jobs: [(id: String, job: Job)], of stage: String, phase: Int, into set: String, width: Int,
        work: @escaping @Sendable (String, Job) async throws -> FleetResult,
        lost: @escaping @Sendable (Job, String) -> FleetResult,
        took: @escaping @Sendable ([StoredTrajectory]) -> Void
    ) async throws -> [String] {
        try await hand.work(in: FleetPart(run: hand.run, stage: stage, phase: phase), width: width, work)
        return []
    }

    func clear(_ stage: String) async throws {}

    var plans: Bool { false }

    func join(_ budget: Budget, for account: String, own: Usage) async throws {
        try await hand.join(budget, for: account, own: own)
    }

    func spent(_ usage: Usage, for account: String) { hand.spent(usage, for: account) }
}
