import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortRecipes
import RetortStore
import RetortTesting
import Synchronization
import Testing

/// An endpoint with a model for each part of an evaluation over virtual APIs.
private final class ModelsOfOneEndpoint: Sendable {
    /// By model, how often it was asked.
    let asked = Mutex<[String: Int]>([:])

    private struct Body: Decodable {
        struct Turn: Decodable { var content: String }
        var model: String
        var messages: [Turn]
        var n: Int?
    }

    func answer(_ request: ReceivedRequest) throws -> CannedAnswer {
        let body = try JSONDecoder().decode(Body.self, from: Data(request.body))
        asked.withLock { $0[body.model, default: 0] += 1 }
        let hasSeen = body.messages.last?.content.contains("\nobservation: ") == true
        let text =
            switch body.model {
            case "planner": hasSeen ? "It is a robin.\n Next: conclusion." : "I look.\n Next: caller."
            case "caller": "Action: getBird\nAction Input: {\"id\": 1}"
            case "imitator": #"{"error": "", "response": "robin"}"#
            case "judge": #"{"analysis": "so", "process": "yes", "answer": "no"}"#
            default: "A robin."
            }
        return CannedAnswer(Array(repeating: text, count: body.n ?? 1))
    }
}

@Suite("Roles, imitated APIs and judges behind endpoints", .timeLimit(.minutes(30)))
struct EndpointRolesTests {
    private var task: AgentTask {
        var task = AgentTask(id: "t", question: "Show bird 1.", answers: [], family: .factual)
        task.tools = [ToolDocument(name: "getBird", function: "Gets one.", input: ["id": "integer"])]
        task.virtualAPIs = ["getBird": VirtualAPIReference(category: "Animals", tool: "Birds", api: "getBird")]
        task.metadata["golden"] = [["Action": "getBird", "Action_Input": "{\"id\": 1}"]]
        return task
    }

    private func open(_ name: String?, at address: String) async throws -> any LanguageModel {
        var place = EndpointPlan(url: address)
        place.model = name
        return try await ModelLocation.endpoint(place).open(concurrency: 4, seconds: 30)
    }

    @Test("a query is answered by models of one endpoint, judged there, and neither is asked for twice")
    func query() async throws {
        let models = ModelsOfOneEndpoint()
        let endpoint = try await FaultyEndpoint(.init()) { try models.answer($0) }
        do {
            try await run(models, endpoint.address)
        } catch {
            try await endpoint.close()
            throw error
        }
        try await endpoint.close()
    }

    private func run(_ models: ModelsOfOneEndpoint, _ address: String) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try TrajectoryStore(folder.appendingPathComponent("trajectories.sqlite"))
        // Its only model, by its list; the adapters are models of their own.
        let base = try await open(nil, at: address)
        #expect(base.identity == "canned")
        let policy = RolePolicy(
            planner: RoleModel(base, adapter: "planner"), caller: RoleModel(base, adapter: "caller"),
            summarizer: RoleModel(base), instructions: .full)
        let run = VirtualAPIRun(
            policy: policy, apis: SimulatedAPIs(try await open("imitator", at: address)), maximumSteps: 4)
        let summary = try await run.run([task], store: store, set: "virtual/birds")
        #expect(summary.answered == 1 && summary.calls == 1 && summary.failedCalls.isEmpty)
        let stored = try #require(try await store.entries(in: "virtual/birds").first?.trajectory)
        #expect(stored.answer == "A robin." && stored.steps[0].observation.text == "robin")
        #expect(try await run.run([task], store: store, set: "virtual/birds") == summary)

        // What another model did, or what other queries of the same ids were, is not taken for this one's.
        let stranger = RoleModel(try await open("stranger", at: address))
        let others = VirtualAPIRun(
            policy: RolePolicy(planner: stranger, caller: stranger, summarizer: stranger, instructions: .full),
            apis: SimulatedAPIs(try await open("imitator", at: address)), maximumSteps: 4)
        await #expect(throws: RunError.self) { try await others.run([task], store: store, set: "virtual/birds") }
        var changed = task
        changed.question = "Show bird 2."
        await #expect(throws: RunError.self) { try await run.run([changed], store: store, set: "virtual/birds") }
        // The same name over other weights, and another number of steps, are told by what the folder notes.
        let noted = try TrajectoryStore(folder.appendingPathComponent("noted.sqlite"))
        try await noted.save(stored, in: "virtual/birds")
        let weights = ["weights": "1"]
        _ = try await run.run([task], store: noted, set: "virtual/birds", agent: weights, folder: folder)
        let error = await #expect(throws: RunError.self) {
            try await run.run([task], store: noted, set: "virtual/birds", agent: ["weights": "2"], folder: folder)
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("changed: weights"))

        // One that broke is run again when that is asked for.
        let other = try TrajectoryStore(folder.appendingPathComponent("other.sqlite"))
        var failed = Trajectory(task: task, provenance: stored.provenance)
        failed.end(.failed("no endpoint"))
        try await other.save(failed, in: "virtual/birds")
        #expect(try await run.run([task], store: other, set: "virtual/birds").failed == 1)
        #expect(
            try await run.run([task], store: other, set: "virtual/birds", retriesFailed: true).answered == 1)

        let tape = folder.appendingPathComponent("judge.sqlite")
        for _ in 0..<2 {
            let judge = try Cassette(tape, .record).model("judge", try await open("judge", at: address))
            let (report, judged) = try await ToolAlpacaEvaluation(judge: ToolAlpacaJudge(model: judge))
                .run(
                    [task, AgentTask(id: "other", question: "?", answers: [], family: .factual)], store: store,
                    set: "virtual/birds")
            #expect(report.all.process.value == 1 && report.all.answer.value == 0 && report.unanimous == 1)
            #expect(report.missing == ["other"])
            #expect(judged.map(\.judgement.processVotes) == [JudgeVotes(yes: 3)])
        }
        #expect(models.asked.withLock { $0 } == ["planner": 4, "caller": 2, "canned": 2, "imitator": 2, "judge": 1])
    }
}
