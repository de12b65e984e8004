import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortRecipes
import RetortStore
import RetortTesting
import RetortWorld
import Synchronization
import Testing

@Suite("A teacher behind an endpoint", .serialized, .timeLimit(.minutes(30)))
struct EndpointTeacherTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")

    private func recipe(_ teacher: String, factual: Int = 10, math: Int = 20) throws -> Recipe {
        try Recipe(
            yaml: """
                name: endpoint
                seed: 7
                domain: {world: {seed: 1, people: 100, passages: 2, train: {factual: \(factual), math: \(math)}}}
                teacher: {\(teacher)}
                students: [{name: a, base: none}]
                training: {agent: {}}
                evaluation: {systems: [agent], programSeconds: 60}
                """, file: "r.yaml")
    }

    /// The world's teacher behind an endpoint, as long as the body runs.
    private func withTeacher<Value>(
        _ options: FaultyEndpoint.Options = .init(), noise: ScriptedTeacherModel.Noise = .init(),
        _ body: (FaultyEndpoint) async throws -> Value
    ) async throws -> Value {
        let world = World(seed: 1, people: 100)
        let questions = FactualQuestions(world, seed: 1).items("train", count: 10)
        let problems = WordProblems(seed: 1).items("train", count: 60)
        let model = ScriptedTeacherModel(
            ScriptedTeacher(world: world, factual: questions, problems: problems),
            tasks: questions.map(\.task) + problems.map(\.task), noise: noise)
        let endpoint = try await FaultyEndpoint(options) { try await CannedAnswer(of: model, to: $0) }
        defer { try? FileManager.default.removeItem(at: folder) }
        do {
            let value = try await body(endpoint)
            try await endpoint.close()
            return value
        } catch {
            try? await endpoint.close()
            throw error
        }
    }

    private func entries(_ folder: URL) async throws -> [StoredTrajectory] {
        try await TrajectoryStore(folder.appendingPathComponent("trajectories.sqlite"), .existing).entries(
            in: "teach/agent")
    }

    @Test("whatever the endpoint does wrong, every task is accounted for exactly once, with the same figures")
    func faults() async throws {
        let options = FaultyEndpoint.Options(faults: Fault.allCases.filter { $0 != .stall }, faultRate: 0.3)
        try await withTeacher(options) { endpoint in
            // The endpoint is here: pauses that spare a distant one would be most of the test's time.
            let plan = """
                endpoint: '\(endpoint.address)', model: canned, concurrency: 16, attempts: 30, seconds: {backoff: 0.01}
                """
            try await RecipeRun(recipe(plan), folder: folder).run(until: .teach)
            let entries = try await entries(folder)
            #expect(Set(entries.map(\.trajectory.task.id)).count == 30 && entries.count == 30)
            #expect(entries.allSatisfy { $0.verdict?.isCorrect == true })
            #expect(try await endpoint.tally().faults.values.reduce(0, +) > 0)
        }
    }

    @Test("a checkpoint in this process teaches in an endpoint's place, in the precision that is asked for")
    func local() async throws {
        let base = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("seedlings/1m").path
        defer { try? FileManager.default.removeItem(at: folder) }
        let plan = "folder: '\(base)', weights: float32, instructions: brief, maxTokens: 32, maxSteps: 1"
        try await RecipeRun(recipe(plan, factual: 1, math: 2), folder: folder).run(until: .teach)
        let entries = try await entries(folder)
        #expect(entries.count == 3)
        #expect(
            entries.allSatisfy { $0.trajectory.provenance.model == "1m" && $0.trajectory.usage.completionTokens > 0 })
    }

    @Test(
        "what an endpoint would need is refused where a checkpoint teaches, and the other way round",
        arguments: [
            ("folder: f, endpoint: 'http://127.0.0.1:1'", "'endpoint' is for endpoints"),
            ("folder: f, key: K", "'key' is for endpoints"), ("folder: f, seconds: {idle: 1}", "'seconds' is for"),
            ("folder: f, api: completions", "'api' is for endpoints"),
            ("endpoint: 'http://127.0.0.1:1', weights: int8", "name its 'folder'"),
            ("folder: f, weights: int9", "must be one of float32, bfloat16, int8, int4"),
            ("model: m", "or the 'folder'"),
        ])
    func contradictions(teacher: String, message: String) {
        let error = #expect(throws: RecipeError.self) { try recipe(teacher) }
        #expect("\(error as Any)".contains(message), "\(error as Any)")
    }

    @Test("a run that was recorded repeats without the endpoint, byte for byte, and a hole in the tape is named")
    func cassette() async throws {
        let tape = FileManager.default.temporaryDirectory.appendingPathComponent("tape-\(UUID().uuidString).sqlite")
        defer { for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: tape.path + end) } }
        func plan(_ endpoint: String, _ mode: String) -> String {
            "\(endpoint)model: canned, firstThought: true, trajectories: 2, cassette: {file: '\(tape.path)', mode: \(mode)}"
        }
        let noise = ScriptedTeacherModel.Noise(agentSlip: 0.3, reasoningSlip: 0.1, unreadable: 0.05)
        let recorded = try await withTeacher(noise: noise) { endpoint in
            try await RecipeRun(recipe(plan("endpoint: '\(endpoint.address)', ", "record")), folder: folder)
                .run(until: .teach)
            return try await entries(folder)
        }
        #expect(recorded.count == 60)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await RecipeRun(recipe(plan("", "replay")), folder: folder).run(until: .teach)
        let replayed = try await entries(folder)
        #expect(replayed.map(\.withoutTimes) == recorded.map(\.withoutTimes))
        let other = folder.appendingPathComponent("other")
        let error = await #expect(throws: CassetteError.self) {
            try await RecipeRun(recipe(plan("", "replay"), math: 21), folder: other).run(until: .teach)
        }
        #expect("\(String(describing: error))".contains("message 3 of the chat"))
    }

    @Test("a spent budget stops the run, and a raised one goes on where it stood")
    func budget() async throws {
        try await withTeacher { endpoint in
            let base = "endpoint: '\(endpoint.address)', model: canned, concurrency: 2"
            let poor = "\(base), prices: {canned: {input: 10, output: 20}}, budget: {money: 0.05}"
            await #expect(throws: BudgetError.self) {
                try await RecipeRun(recipe(poor), folder: folder).run(until: .teach)
            }
            let first = try await entries(folder)
            #expect(!first.isEmpty && first.count < 30 && first.allSatisfy { $0.verdict?.isCorrect == true })
            let asked = try await endpoint.tally().requests
            try await RecipeRun(recipe(base), folder: folder).run(until: .teach)
            #expect(try await entries(folder).count == 30)
            #expect(try await endpoint.tally().requests < asked + 30 * 5)
        }
    }

    @Test("a refused task makes the stage partial: it alone is asked for again, and too many end the run")
    func partial() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let world = World(seed: 1, people: 100)
        let questions = FactualQuestions(world, seed: 1).items("train", count: 10)
        let problems = WordProblems(seed: 1).items("train", count: 20)
        let model = ScriptedTeacherModel(
            ScriptedTeacher(world: world, factual: questions, problems: problems),
            tasks: questions.map(\.task) + problems.map(\.task))
        let refused = questions[0].task.question
        let isOut = Mutex(true)
        let endpoint = try await FaultyEndpoint(.init()) { request in
            let asks = String(decoding: request.body, as: UTF8.self).contains(refused)
            if asks, isOut.withLock({ $0 }) { return CannedAnswer(["not this one"], status: 400) }
            return try await CannedAnswer(of: model, to: request)
        }
        var recipe = try recipe("endpoint: '\(endpoint.address)', model: canned, seconds: {backoff: 0.01}")
        try await RecipeRun(recipe, folder: folder).run(until: .teach)
        let partial = try Manifest(folder: folder).stages["teach/agent"]
        #expect(partial?.state == .partial && partial?.failed == 1 && partial?.total == 30)
        #expect(try await RecipeRun(recipe, folder: folder).plan(until: .teach)["teach/agent"] == .retry(1))
        recipe.maximumFailures = 0
        let error = await #expect(throws: RunError.self) {
            try await RecipeRun(recipe, folder: folder).run(until: .teach)
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("teach/agent: 1 of 30 failed"))
        isOut.withLock { $0 = false }
        let asked = try await endpoint.tally().requests
        try await RecipeRun(recipe, folder: folder).run(until: .teach)
        #expect(try await entries(folder).count { $0.verdict?.isCorrect == true } == 30)
        #expect(try await endpoint.tally().requests <= asked + 6)
        #expect(try Manifest(folder: folder).stages["teach/agent"]?.state == .complete)
        // What came to nothing was paid as well, and is known.
        let spent = try String(contentsOf: folder.appendingPathComponent("spending.jsonl"), encoding: .utf8)
        #expect(spent.split(separator: "\n").count >= 30)
        try await endpoint.close()
    }

    @Test("a dry run asks nothing; its price is that of the table, and without one it is not known")
    func dryRun() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let base = "endpoint: 'http://127.0.0.1:1', model: m"
        let unknown = try await RecipeRun(recipe(base), folder: folder).estimate()
        #expect(unknown.cost == nil && unknown.stages[0].promptTokens > 30 * 100)
        let known = try await RecipeRun(recipe("\(base), prices: {m: {input: 1, output: 2}}"), folder: folder)
            .estimate()
        let stage = known.stages[0]
        #expect(known.cost == Double(stage.promptTokens + 2 * stage.completionTokens) / 1e6)
        #expect((known.mostCost ?? 0) > (known.cost ?? 0))
    }

    @Test(
        "a teacher that cannot be used is refused before anything starts",
        arguments: [
            ("model: m", "needs an 'endpoint'"), ("endpoint: here", "is no address"),
            ("endpoint: 'http://me:pw@x'", "password in its address"),
            ("endpoint: 'http://x', model: m, budget: {money: 5}", "price of 'm' is not known"),
            ("endpoint: 'http://x', prices: {m: {input: 1}}", "a price needs 'output'"),
            ("endpoint: 'http://x', api: completions", "needs 'template'"),
            ("endpoint: 'http://x', temperatur: 1", "did you mean 'temperature'?"),
            ("endpoint: [{url: 'http://x', weight: 0}]", "'weight' must be"),
        ])
    func refused(teacher: String, message: String) {
        let error = #expect(throws: RecipeError.self) { try recipe(teacher) }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains(message))
    }
}

extension StoredTrajectory {
    /// All but how long things took.
    fileprivate var withoutTimes: StoredTrajectory {
        var copy = Trajectory(task: trajectory.task, provenance: trajectory.provenance, id: trajectory.id)
        for var step in trajectory.steps {
            step.usage.seconds = 0
            step.observation.seconds = 0
            copy.append(step)
        }
        if let ending = trajectory.ending { copy.end(ending) }
        return StoredTrajectory(trajectory: copy, verdict: verdict)
    }
}
