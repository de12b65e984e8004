import Foundation
import RetortCore
import RetortStore
import RetortTesting
import RetortWorld
import ScratchPostgres
import Testing

@testable import RetortRecipes

@Suite(
    "A run that a fleet shares", .serialized, .enabled(if: ScratchPostgres.isInstalled, "PostgreSQL is not installed"),
    .timeLimit(.minutes(30)))
struct FleetRunTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")

    private func place(_ name: String) -> URL { folder.appendingPathComponent(name) }

    private func address() throws -> String { try #require(ScratchPostgres.shared).database() }

    private func recipe(_ teacher: String = "", seed: Int = 7, more: String = "") throws -> Recipe {
        try Recipe(
            yaml: """
                name: shared
                seed: \(seed)
                domain: {world: {seed: 1, people: 100, passages: 1, train: {factual: 1, math: 3}}}
                \(teacher)
                students: [{name: s, base: '\(place("base").path)'}]
                training: {agent: {epochs: 1\(more)}}
                evaluation: {systems: [agent], tasks: 1, maxSteps: 3, maxTokens: 8, programSeconds: 60}
                """, file: "r.yaml")
    }

    private func withTeacher<Value>(_ body: (FaultyEndpoint, String) async throws -> Value) async throws -> Value {
        let world = World(seed: 1, people: 100)
        let questions = FactualQuestions(world, seed: 1).items("train", count: 1)
        let problems = WordProblems(seed: 1).items("train", count: 3)
        let model = ScriptedTeacherModel(
            ScriptedTeacher(world: world, factual: questions, problems: problems),
            tasks: questions.map(\.task) + problems.map(\.task), noise: .init(agentSlip: 0.3, unreadable: 0.1))
        let endpoint = try await FaultyEndpoint(.init(latency: 0.005)) { try await CannedAnswer(of: model, to: $0) }
        defer { try? FileManager.default.removeItem(at: folder) }
        let teacher = "teacher: {endpoint: '\(endpoint.address)', model: canned, trajectories: 2, concurrency: 4}"
        do {
            let value = try await body(endpoint, teacher)
            try await endpoint.close()
            return value
        } catch {
            try? await endpoint.close()
            throw error
        }
    }

    private func entries(_ run: String, _ set: String) async throws -> [StoredTrajectory] {
        try await TrajectoryStore(place(run).appendingPathComponent("trajectories.sqlite"), .existing)
            .entries(in: set).map(\.withoutTimes)
    }

    private func carryOut(
        _ recipe: Recipe, _ name: String, fleet: FleetPlan? = nil, until goal: RecipeRun.Goal = .teach
    ) async throws {
        let run = try await RecipeRun(recipe, folder: place(name), fleet: fleet)
        _ = try await run.closing { try await $0.run(until: goal) }
    }

    private func worker(_ address: String, _ name: String, _ change: (inout FleetWorker.Options) -> Void = { _ in })
        async throws -> FleetSign
    {
        var options = FleetWorker.Options()
        options.idle = 120
        change(&options)
        return try await FleetWorker(FleetStore(address), folder: place(name), options: options).run()
    }

    @Test("what workers make is what one process makes, each trajectory once, and the planner makes none itself")
    func teaching() async throws {
        try await withTeacher { endpoint, teacher in
            let recipe = try recipe(teacher)
            try await carryOut(recipe, "alone")
            let address = try address()
            let fleet = FleetPlan(try await FleetStore(address), works: false)
            async let first = worker(address, "w1")
            async let second = worker(address, "w2") { $0.concurrency = 1 }
            try await carryOut(recipe, "shared", fleet: fleet)
            let done = try await [first, second]
            #expect(done.map(\.done).reduce(0, +) == 8 && done.allSatisfy { $0.dropped == 0 })
            let alone = try await entries("alone", "teach/agent")
            #expect(alone.count == 8)
            #expect(try await entries("shared", "teach/agent") == alone)
            let report = try await FleetReport(fleet.store, run: "shared")
            let stage = try #require(report.status.stages.first)
            #expect(stage.tasks == 8 && stage.done == 8 && stage.open == 0 && !stage.isOpen && report.status.isDone)
            #expect(stage.correct == alone.count { $0.verdict?.isCorrect == true } && stage.failures.isEmpty)
            #expect(report.status.workers.count == 3 && report.status.workers.allSatisfy { $0.state == .left })
            let usage = alone.reduce(Usage()) { $0 + $1.trajectory.usage }
            #expect(report.accounts.first?.promptTokens == usage.promptTokens)
            #expect(report.text.contains("teach/agent  closed  8/8 done"), "\(report.text)")
            #expect(
                report.figures.contains {
                    $0.name == "retort_fleet_tasks" && $0.labels["state"] == "done" && $0.value == 8
                })
            // Another run has nothing to do, and workers have nothing to wait for.
            let before = try await endpoint.tally().requests
            try await carryOut(recipe, "shared", fleet: fleet)
            #expect(try await worker(address, "w1") { $0.run = "shared" }.done == 0)
            #expect(try await endpoint.tally().requests == before)
        }
    }

    @Test("a planner that is interrupted goes on in its folder, with what workers made meanwhile")
    func resuming() async throws {
        try await withTeacher { _, teacher in
            let recipe = try recipe(teacher)
            try await carryOut(recipe, "alone")
            let address = try address()
            let fleet = FleetPlan(try await FleetStore(address), works: false)
            let planning = Task { try await carryOut(recipe, "shared", fleet: fleet) }
            let work = Task { try await worker(address, "w") }
            while try await fleet.store.run() == nil { try await Task.sleep(for: .milliseconds(20)) }
            planning.cancel()
            await #expect(throws: CancellationError.self) { try await planning.value }
            try await carryOut(recipe, "shared", fleet: FleetPlan(try await FleetStore(address)))
            _ = try await work.value
            #expect(try await entries("shared", "teach/agent") == entries("alone", "teach/agent"))
        }
    }

    @Test("a whole run with rounds, evaluation and trained weights comes out as in one process")
    func everything() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try AgentBench.writeBase(to: place("base"), seed: 3, positions: 2048)
        let recipe = try recipe(
            more: ", rounds: [{rejection: {samples: 1, most: 2}, repair: {candidates: 1}}, {preference: {}}]")
        try await carryOut(recipe, "alone", until: .evaluate)
        let address = try address()
        let fleet = FleetPlan(try await FleetStore(address), works: false)
        let done = try await withThrowingTaskGroup(of: FleetSign?.self) { group in
            group.addTask { try await worker(address, "w") }
            group.addTask {
                try await carryOut(recipe, "shared", fleet: fleet, until: .evaluate)
                return nil
            }
            // Whichever fails ends the other.
            return try await group.reduce(into: FleetSign()) { $0 = $1 ?? $0 }
        }
        var count = 0
        for set in ["teach/agent", "rejection/s/agent@1", "acts/s/agent@1", "repair/s/agent@1", "evaluate/s/agent"] {
            let alone = try await entries("alone", set)
            count += alone.count
            #expect(!alone.isEmpty)
            #expect(try await entries("shared", set) == alone, "\(set)")
        }
        #expect(done.done >= count && done.failed == 0)
    }

    @Test("a worker refuses another recipe, and says what differs; and another version")
    func refusals() async throws {
        try await withTeacher { _, teacher in
            let address = try address()
            let store = try await FleetStore(address)
            let planned = try recipe(teacher)
            let planning = Task { try await carryOut(planned, "shared", fleet: FleetPlan(store, works: false)) }
            while try await store.openStage(of: "shared") == nil { try await Task.sleep(for: .milliseconds(20)) }
            let other = try recipe(teacher.replacing("trajectories: 2", with: "temperature: 0.5"), seed: 8)
            var options = FleetWorker.Options()
            options.idle = 30
            let error = await #expect(throws: FleetError.self) {
                _ = try await FleetWorker(store, folder: place("w"), recipe: other, options: options).run()
            }
            let text = "\(error as Any)"
            #expect(text.contains("seed: 7 there, 8 here") && text.contains("teacher.temperature: "), "\(text)")
            // Whoever comes a second time is told by name, and disturbs nothing.
            let second = await #expect(throws: FleetError.self) {
                try await carryOut(planned, "second", fleet: FleetPlan(store, works: false))
            }
            #expect("\(second as Any)".contains("'shared' is planned by"), "\(second as Any)")
            planning.cancel()
            _ = await planning.result
            try await store.remove("shared")
            try await store.plan(
                FleetRun(name: "shared", recipe: "{}", roots: "[]", version: "0.0.1", lease: 1), folder: "f",
                planner: "p")
            let old = await #expect(throws: FleetError.self) { _ = try await worker(address, "w") }
            #expect("\(old as Any)".contains("planned by Retort 0.0.1, and this is"), "\(old as Any)")
        }
    }

    @Test("files that are not here are sent by the planner, and only those that the run names")
    func files() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let desk = place("there/desk")
        try FileManager.default.createDirectory(at: desk, withIntermediateDirectories: true)
        for (name, text) in [
            (
                "domain.yaml",
                "name: desk\ntasks: {train: t.jsonl, test: {in: u.jsonl}}\ntools: [{python: desk.py}]\ngrader: exact\n"
            ),
            ("t.jsonl", "{\"id\": \"1\", \"question\": \"q\", \"answer\": \"a\"}\n"),
            ("u.jsonl", "{\"id\": \"2\", \"question\": \"r\", \"answer\": \"b\"}\n"),
            (
                "desk.py",
                "def f(x: int) -> int:\n    \"\"\"Doubles.\n\n    Args:\n        x: It.\n    \"\"\"\n    return 2 * x\n"
            ),
        ] {
            try Data(text.utf8).write(to: desk.appendingPathComponent(name))
        }
        let recipe = try Recipe(
            yaml: """
                name: desk
                domain: '\(desk.path)'
                teacher: {endpoint: 'http://127.0.0.1:1/v1', model: m}
                students: [{name: s, base: none}]
                training: {agent: {}}
                evaluation: {systems: [agent]}
                """, file: "r.yaml")
        let store = try await FleetStore(address())
        let run = try await RecipeRun(recipe, folder: place("run"))
        let digests = FileDigests()
        let files = FleetFiles(folder: place("run"), digests: digests)
        let there = try files.roots(run.context.namedFiles())
        await run.close()
        #expect(there.contains("desk.py") && there.contains("t.jsonl"))
        // The worker's machine has no such folder.
        let roots = there.replacing("/there/", with: "/elsewhere/")
        let text = String(decoding: try ExactJSON.encode(recipe.withWholePaths()), as: UTF8.self)
            .replacing("/there/", with: "/elsewhere/")
        try await store.plan(
            FleetRun(name: "desk", recipe: text, roots: roots, version: Retort.version, lease: 60), folder: "f",
            planner: "p")
        let serving = Task { () async throws -> Int? in try await files.serve(store, "desk") }
        let fetch = FleetFetch(store: store, run: "desk", folder: place("w/files"), digests: digests)
        let brought = try await fetch.recipe(text, roots: FleetFetch.roots(roots, store))
        guard case .folder(let plan) = brought.domain else { return #expect(Bool(false), "\(brought.domain)") }
        #expect(plan.folder == place("w/files").path + place("elsewhere/desk").path)
        for name in ["t.jsonl", "u.jsonl", "desk.py"] {
            #expect(try Data(contentsOf: plan.url(name)) == Data(contentsOf: desk.appendingPathComponent(name)))
        }
        let opened = try await RecipeRun(brought, folder: place("w"))
        #expect(opened.context.source.train.count == 1)
        await opened.close()
        let outside = roots.replacing(place("elsewhere").path, with: "/../etc")
        #expect(throws: FleetError.self) { try FleetFetch.roots(outside, store) }
        try await store.want("0123", path: "/etc/passwd", in: "desk")
        while case .underWay = try await store.arrival(of: "0123", in: "desk") {
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(
            try await store.arrival(of: "0123", in: "desk")
                == .refused("the run has no file /etc/passwd with this content"))
        serving.cancel()
        _ = await serving.result
    }

    @Test("a tape of one process is refused, and a worker that finds nothing leaves")
    func unfit() async throws {
        let store = try await FleetStore(address())
        let taped = try recipe("teacher: {endpoint: 'http://127.0.0.1:1', model: m, cassette: {file: t}}")
        let error = await #expect(throws: FleetError.self) {
            try await carryOut(taped, "taped", fleet: FleetPlan(store))
        }
        #expect("\(error as Any)".contains("'teacher.cassette' records on a tape of one process"))
        var options = FleetWorker.Options()
        options.idle = 0.1
        let idle = await #expect(throws: FleetError.self) {
            _ = try await FleetWorker(store, folder: place("w"), options: options).run()
        }
        #expect("\(idle as Any)".contains("no run was planned"))
    }
}

extension StoredTrajectory {
    /// All but how long things took.
    fileprivate var withoutTimes: StoredTrajectory {
        var copy = Trajectory(task: trajectory.task, provenance: trajectory.provenance, id: trajectory.id)
        for var step in trajectory.steps {
            step.usage.seconds = 0
            step.observation.seconds = 0
            for index in step.candidates.indices { step.candidates[index].observation?.seconds = 0 }
            copy.append(step)
        }
        if let ending = trajectory.ending { copy.end(ending) }
        return StoredTrajectory(trajectory: copy, verdict: verdict)
    }
}
