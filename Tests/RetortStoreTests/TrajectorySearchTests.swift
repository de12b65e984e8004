import Foundation
import GRDB
import RetortCore
import Testing

@testable import RetortStore

@Suite("Search in the trajectory store")
struct TrajectorySearchTests {
    private let folder: ScratchFolder
    private let file: URL

    init() throws {
        folder = try ScratchFolder()
        file = folder.file("trajectories.sqlite")
    }

    private func step(_ thought: String, tool: String? = nil, _ outcome: Observation.Outcome = .success) -> Step {
        Step(
            thought: thought, action: .code("print(\(thought.count))"),
            observation: Observation(
                text: "seen", outcome: outcome,
                toolCalls: tool.map { [ToolCall(name: $0, arguments: [:], result: 1)] } ?? []
            ), usage: Usage(promptTokens: 10, completionTokens: thought.count))
    }

    private func entry(
        _ id: String, task: String? = nil, _ steps: [Step], ending: Ending? = .answered("Rome"), correct: Bool? = true
    ) -> StoredTrajectory {
        var trajectory = Trajectory(
            task: AgentTask(
                id: task ?? id, question: "Where is the Colosseum of \(id)?", answers: [], family: .factual),
            provenance: Provenance(policy: "agent", model: "m"), id: id)
        for step in steps { trajectory.append(step) }
        if let ending { trajectory.end(ending) }
        return StoredTrajectory(
            trajectory: trajectory, verdict: correct.map { Verdict(isCorrect: $0, reason: "r") })
    }

    private func filled() async throws -> TrajectoryStore {
        let store = try TrajectoryStore(file)
        try await store.save(
            [
                entry("a", [step("look it up", tool: "search"), step("tell")]),
                entry(
                    "b", [step("compute the unguessable", .executionError(type: "NameError", message: "x"))],
                    correct: false),
                entry("c", [], ending: .failed("the server broke"), correct: false),
                entry(
                    "d", task: "a", [step("one"), step("two", .timeout(seconds: 5)), step("three")],
                    ending: .forced("x"),
                    correct: nil),
            ], in: "evaluate/agent")
        try await store.save([entry("a", [step("other set", tool: "search")])], in: "teach/agent")
        return store
    }

    private func ids(_ store: TrajectoryStore, _ change: (inout TrajectoryQuery) -> Void) async throws -> [String] {
        var query = TrajectoryQuery(set: "evaluate/agent")
        change(&query)
        let found = try await store.find(query)
        #expect(found.total == found.found.count)
        return found.found.map(\.id)
    }

    @Test("trajectories are found by outcome, fault, tool, length and words")
    func filters() async throws {
        let store = try await filled()
        #expect(try await ids(store) { _ in } == ["a", "b", "c", "d"])
        #expect(try await ids(store) { $0.outcome = .solved } == ["a"])
        #expect(try await ids(store) { $0.outcome = .wrong } == ["b"])
        #expect(try await ids(store) { $0.outcome = .failed } == ["c"])
        #expect(try await ids(store) { $0.outcome = .forced } == ["d"])
        #expect(try await ids(store) { $0.outcome = .ungraded } == ["d"])
        #expect(try await ids(store) { $0.fault = "NameError" } == ["b"])
        #expect(try await ids(store) { $0.fault = "execution error" } == ["b"])
        #expect(try await ids(store) { $0.fault = "timeout" } == ["d"])
        #expect(try await ids(store) { $0.tool = "search" } == ["a"])
        #expect(try await ids(store) { $0.steps = 2...3 } == ["a", "d"])
        #expect(try await ids(store) { $0.order = .longest } == ["d", "a", "b", "c"])
        #expect(try await ids(store) { $0.words = "unguess" } == ["b"])
        #expect(try await ids(store) { $0.words = "server BROKE" } == ["c"])
        #expect(try await ids(store) { $0.words = "Colosseum compu" } == ["b"])
        #expect(try await ids(store) { $0.words = "\"' OR * NEAR(" }.isEmpty)
        #expect(try await ids(store) { ($0.words, $0.order) = ("colosseum", .longest) } == ["d", "a", "b", "c"])
        #expect(try await ids(store) { ($0.words, $0.tool, $0.outcome) = ("where", "search", .solved) } == ["a"])
        #expect(
            try await store.find(TrajectoryQuery(task: "a")).found.map(\.set)
                == ["evaluate/agent", "evaluate/agent", "teach/agent"])
    }

    @Test("a list is read in pages, and its facets count what is there")
    func pages() async throws {
        let store = try await filled()
        let page = try await store.find(TrajectoryQuery(set: "evaluate/agent"), offset: 1, limit: 2)
        #expect(page.found.map(\.id) == ["b", "c"] && page.total == 4)
        #expect(page.found[0].question == "Where is the Colosseum of b?" && page.found[0].answer == "Rome")
        let (before, after) = try await store.neighbours(of: page.found[0])
        #expect(before?.id == "a" && after?.id == "c")
        let outline = try await store.outline()
        #expect(outline.map(\.set) == ["evaluate/agent", "teach/agent"])
        #expect(outline[0].count == 4 && outline[0].graded == 3 && outline[0].correct == 1 && outline[0].failed == 1)
        let facets = try await store.facets(of: "evaluate/agent")
        #expect(facets.outcomes[.solved] == 1 && facets.outcomes[.wrong] == 1 && facets.longest == 3)
        #expect(facets.tools.map(\.name) == ["search"])
        #expect(Set(facets.faults.map(\.name)) == ["NameError", "execution error", "timeout"])
    }

    @Test("what is saved again is found as it is now, and what is removed is not found")
    func changes() async throws {
        let store = try await filled()
        try await store.save([entry("b", [step("another idea", tool: "open")])], in: "evaluate/agent")
        #expect(try await ids(store) { $0.words = "unguessable" }.isEmpty)
        #expect(try await ids(store) { $0.words = "another" } == ["b"])
        #expect(try await ids(store) { $0.fault = "NameError" }.isEmpty)
        #expect(try await ids(store) { $0.tool = "open" } == ["b"])
        // Only the grade is new.
        try await store.save([entry("b", [step("another idea", tool: "open")], correct: false)], in: "evaluate/agent")
        #expect(try await ids(store) { $0.outcome = .wrong } == ["b"])
        try await store.remove(set: "evaluate/agent")
        #expect(try await ids(store) { _ in }.isEmpty)
        #expect(
            try await store.find(
                {
                    var query = TrajectoryQuery(); query.words = "another"; return query
                }()
            ).total == 0)
        #expect(try await store.facets(of: "evaluate/agent").tools.isEmpty)
    }

    @Test("a label is of a trajectory as it is, is found, and changes the set's digest of labels")
    func labels() async throws {
        let store = try await filled()
        #expect(try await store.digestOfLabels(in: "evaluate/agent") == nil)
        #expect(try await store.label(TrajectoryLabel(.bad, note: "guessed"), id: "a", in: "evaluate/agent"))
        #expect(try await store.label(TrajectoryLabel(.good), id: "b", in: "evaluate/agent"))
        #expect(try await !store.label(TrajectoryLabel(.good), id: "nobody", in: "evaluate/agent"))
        #expect(try await ids(store) { $0.label = .with(.bad) } == ["a"])
        #expect(try await ids(store) { $0.label = TrajectoryQuery.Labelled.none } == ["c", "d"])
        #expect(try await store.facets(of: "evaluate/agent").labels == [.bad: 1, .good: 1])
        let entries = try await store.entries(in: "evaluate/agent")
        #expect(entries.map { $0.label?.kind } == [.bad, .good, nil, nil] && entries[0].label?.note == "guessed")
        let digest = try await store.digestOfLabels(in: "evaluate/agent")
        // Made anew otherwise, it is no longer what was labelled.
        try await store.save([entry("a", [step("done anew")])], in: "evaluate/agent")
        #expect(try await store.entry(id: "a", in: "evaluate/agent")?.label == nil)
        #expect(try await store.digestOfLabels(in: "evaluate/agent") != digest)
        // Made anew as it was, it is.
        try await store.save(
            [entry("a", [step("look it up", tool: "search"), step("tell")])], in: "evaluate/agent")
        #expect(try await store.entry(id: "a", in: "evaluate/agent")?.label?.kind == .bad)
        #expect(try await store.digestOfLabels(in: "evaluate/agent") == digest)
        try await store.label(nil, id: "a", in: "evaluate/agent")
        #expect(try await ids(store) { $0.label = .with(.bad) }.isEmpty)
    }

    @Test("a mended trajectory is kept with its label")
    func mended() async throws {
        let store = try await filled()
        let mended = entry("b", [step("put right")]).trajectory
        try await store.label(TrajectoryLabel(.good, mended: mended), id: "b", in: "evaluate/agent")
        let label = try await store.entry(id: "b", in: "evaluate/agent")?.label
        #expect(label == TrajectoryLabel(.mended, mended: mended))
    }

    @Test("a store of an older version gets its facts when it is opened for writing, and is refused as it is")
    func migration() async throws {
        let store = try await filled()
        try await store.database.write { database in
            try database.execute(
                sql: """
                    DROP TABLE mark; DROP TABLE title; DROP TABLE fact; DROP TABLE words; DROP TABLE label;
                    DELETE FROM grdb_migrations WHERE identifier = 'facts'
                    """)
        }
        #expect(throws: StoreError.older(file: file.path)) { try TrajectoryStore(file, .readOnly) }
        let migrated = try TrajectoryStore(file, .existing)
        #expect(try await ids(migrated) { $0.words = "unguessable" } == ["b"])
        #expect(try await ids(migrated) { $0.outcome = .forced } == ["d"])
    }

    @Test("a store that was opened for reading only sees what others save, and writes nothing")
    func readOnly() async throws {
        let store = try await filled()
        let reader = try TrajectoryStore(file, .readOnly)
        try await store.save([entry("e", [step("fresh")])], in: "evaluate/agent")
        #expect(try await ids(reader) { $0.words = "fresh" } == ["e"])
        await #expect(throws: StoreError.self) { try await reader.remove(set: "evaluate/agent") }
        #expect(throws: StoreError.missing(file: folder.file("none").path)) {
            try TrajectoryStore(folder.file("none"), .readOnly)
        }
    }

    @Test("any content is saved and found: odd texts, long ones, every kind of outcome", arguments: 0..<4)
    func anything(seed: UInt64) async throws {
        var maker = TrajectoryMaker(seed: seed)
        var entries = (0..<30).map { StoredTrajectory(trajectory: maker.trajectory($0), verdict: nil) }
        entries.append(entry("long", [step(String(repeating: "many words ", count: 50_000))]))
        let store = try TrajectoryStore(file)
        try await store.save(entries, in: "s")
        #expect(try await store.find(TrajectoryQuery(set: "s"), limit: 100).total == entries.count)
        #expect(try await store.entries(in: "s", order: .asSaved) == entries)
    }
}
