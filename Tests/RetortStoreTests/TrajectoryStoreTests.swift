import Foundation
import GRDB
import RetortCore
import Testing

@testable import RetortStore

@Suite("Trajectory store")
struct TrajectoryStoreTests {
    private let folder: ScratchFolder
    private let file: URL

    init() throws {
        folder = try ScratchFolder()
        file = folder.file("trajectories.sqlite")
    }

    private func trajectory(_ id: String, answer: JSONValue = "x") -> Trajectory {
        var trajectory = Trajectory(
            task: AgentTask(id: id, question: "?", answers: [], family: .math),
            provenance: Provenance(policy: "agent", model: "m"), id: id)
        trajectory.end(.answered(answer))
        return trajectory
    }

    @Test("a trajectory comes back as it was saved, whatever is in it", arguments: 0..<8)
    func roundTrip(seed: UInt64) async throws {
        var maker = TrajectoryMaker(seed: seed)
        let saved = (0..<40).map { index in
            StoredTrajectory(
                trajectory: maker.trajectory(index),
                verdict: index.isMultiple(of: 2) ? nil : Verdict(isCorrect: index.isMultiple(of: 3), reason: "r"))
        }
        try await TrajectoryStore(file).save(saved, in: "s")
        // Opened anew: nothing can come from memory.
        #expect(try await TrajectoryStore(file).entries(in: "s", order: .asSaved) == saved)
    }

    @Test("each value keeps its type as an answer", arguments: TrajectoryMaker.values)
    func values(value: JSONValue) async throws {
        let store = try TrajectoryStore(file)
        try await store.save(trajectory("t", answer: value), in: "s")
        #expect(try await store.entry(id: "t", in: "s")?.trajectory.ending == .answered(value))
    }

    @Test("a graded trajectory is found in its set")
    func graded() async throws {
        // snippet: Saving and reading
        let task = AgentTask(id: "1", question: "2 + 3?", answers: ["5"], family: .math)
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "agent", model: "student"))
        trajectory.append(
            Step(thought: "I know it.", action: .answer("5"), observation: Observation(text: "", outcome: .final("5"))))
        trajectory.end(.answered("5"))

        let store = try TrajectoryStore(file)
        try await store.save(trajectory, verdict: Verdict(isCorrect: true, reason: "5 is 5"), in: "evaluate/agent")
        for try await entry in store.trajectories(in: "evaluate/agent") {
            #expect(entry.trajectory == trajectory && entry.verdict?.isCorrect == true)
        }
        // end snippet
        #expect(try await store.count(in: "evaluate/agent") == 1)
    }

    @Test("NaN stays a number")
    func notANumber() async throws {
        let store = try TrajectoryStore(file)
        try await store.save(trajectory("t", answer: .number(.nan)), in: "s")
        guard case .answered(.number(let number)) = try await store.entry(id: "t", in: "s")?.trajectory.ending else {
            Issue.record("the answer is no longer a number")
            return
        }
        #expect(number.isNaN)
    }

    @Test("saving again replaces, and keeps the place")
    func replacing() async throws {
        let store = try TrajectoryStore(file)
        for id in ["b", "a", "c"] { try await store.save(trajectory(id), in: "s") }
        let verdict = Verdict(isCorrect: true, reason: "exact match")
        try await store.save(trajectory("b", answer: 2), verdict: verdict, in: "s")
        #expect(try await store.count(in: "s") == 3)
        let entries = try await store.entries(in: "s", order: .asSaved)
        #expect(entries.map(\.trajectory.id) == ["b", "a", "c"])
        #expect(entries[0] == StoredTrajectory(trajectory: trajectory("b", answer: 2), verdict: verdict))
        #expect(try await store.entries(in: "s").map(\.trajectory.id) == ["a", "b", "c"])
    }

    @Test("sets are apart from each other")
    func sets() async throws {
        let store = try TrajectoryStore(file)
        try await store.save(trajectory("a"), in: "rollout/teacher")
        try await store.save(trajectory("a", answer: 1), in: "evaluate/agent")
        try await store.save(trajectory("b"), in: "evaluate/agent")
        #expect(try await store.sets().map(\.name) == ["evaluate/agent", "rollout/teacher"])
        #expect(try await store.sets().map(\.count) == [2, 1])
        try await store.remove(set: "rollout/teacher")
        #expect(try await store.ids(in: "rollout/teacher").isEmpty)
        #expect(try await store.ids(in: "evaluate/agent") == ["a", "b"])
        #expect(try await store.taskIDs(in: "evaluate/agent") == ["a", "b"])
        #expect(try await store.contains(id: "b", in: "evaluate/agent"))
        #expect(try await !store.contains(id: "b", in: "rollout/teacher"))
        #expect(try await store.entry(id: "none", in: "evaluate/agent") == nil)
    }

    @Test("a long set streams in order, over page borders", arguments: [0, 1, 63, 64, 65, 200])
    func streaming(count: Int) async throws {
        let store = try TrajectoryStore(file)
        let ids = (0..<count).map { "t\(1000 - $0)" }
        try await store.save(ids.map { StoredTrajectory(trajectory: trajectory($0), verdict: nil) }, in: "s")
        var saved: [String] = []
        for try await entry in store.trajectories(in: "s", order: .asSaved) { saved.append(entry.trajectory.id) }
        #expect(saved == ids)
        #expect(try await store.entries(in: "s").map(\.trajectory.id) == ids.sorted())
    }

    @Test("tasks save at the same time")
    func concurrency() async throws {
        let store = try TrajectoryStore(file)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<50 {
                group.addTask { try await store.save(self.trajectory("t\(index)"), in: "s") }
            }
            try await group.waitForAll()
        }
        #expect(try await store.count(in: "s") == 50)
    }

    @Test("two openings of one file see each other's trajectories")
    func twoOpenings() async throws {
        let writer = try TrajectoryStore(file)
        let reader = try TrajectoryStore(file, .existing)
        try await writer.save(trajectory("a"), in: "s")
        #expect(try await reader.count(in: "s") == 1)
    }

    @Test("what was saved is there without the store being closed: as after a kill")
    func killed() async throws {
        let store = try TrajectoryStore(file)
        try await store.save(trajectory("a"), in: "s")
        // The files as a killed process leaves them: the log not yet folded into the database.
        let copy = folder.file("copy.sqlite")
        try FileManager.default.copyItem(at: file, to: copy)
        try FileManager.default.copyItem(atPath: file.path + "-wal", toPath: copy.path + "-wal")
        #expect(try await TrajectoryStore(copy).ids(in: "s") == ["a"])
    }

    @Test("a log cut in the middle of a save loses that save only")
    func cutLog() async throws {
        let store = try TrajectoryStore(file)
        try await store.save(trajectory("a"), in: "s")
        let before = try Data(contentsOf: URL(fileURLWithPath: file.path + "-wal")).count
        try await store.save(trajectory("b"), in: "s")
        let log = try Data(contentsOf: URL(fileURLWithPath: file.path + "-wal"))
        let copy = folder.file("copy.sqlite")
        try FileManager.default.copyItem(at: file, to: copy)
        try log.prefix((before + log.count) / 2).write(to: URL(fileURLWithPath: copy.path + "-wal"))
        #expect(try await TrajectoryStore(copy).ids(in: "s") == ["a"])
    }

    @Test("a store whose making was cut short is made again")
    func cutMaking() async throws {
        // What a process leaves that is killed before the first migration.
        let queue = try DatabaseQueue(path: file.path)
        try await queue.write {
            try $0.execute(sql: "CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY)")
        }
        try queue.close()
        let store = try TrajectoryStore(file)
        try await store.save(trajectory("a"), in: "s")
        #expect(try await store.count(in: "s") == 1)
    }

    @Test("a file that is something else is named, and left alone")
    func notAStore() throws {
        let text = try folder.file(
            "notes.sqlite",
            "These are my notes, and they are longer than a hundred bytes. "
                + "SQLite looks at the first hundred to tell what it has before it.")
        #expect(throws: StoreError.notAStore(file: text.path)) { try TrajectoryStore(text) }
    }

    @Test("a store that must be there already is not made")
    func missing() {
        #expect(throws: StoreError.missing(file: file.path)) { try TrajectoryStore(file, .existing) }
        #expect(!FileManager.default.fileExists(atPath: file.path))
    }

    @Test("a folder that is missing is told")
    func missingFolder() {
        let error = #expect(throws: StoreError.self) { try TrajectoryStore(folder.file("no/such/folder.sqlite")) }
        #expect(error?.description.contains("no/such/folder.sqlite cannot be used now") == true)
    }

    @Test("a newer version's store is refused")
    func newer() async throws {
        let store = try TrajectoryStore(file)
        try await store.database.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('v99')") }
        #expect(throws: StoreError.newer(file: file.path)) { try TrajectoryStore(file) }
    }

    @Test("another program's database is refused")
    func strangersDatabase() async throws {
        let store = try TrajectoryStore(file)
        try await store.database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA application_id = 1") }
        #expect(throws: StoreError.notAStore(file: file.path)) { try TrajectoryStore(file) }
    }

    @Test("a record that does not read is named by set and id")
    func unreadable() async throws {
        let store = try TrajectoryStore(file)
        try await store.save(trajectory("a"), in: "s")
        try await store.database.write { try $0.execute(sql: "UPDATE trajectory SET trajectory = '{}'") }
        let error = await #expect(throws: StoreError.self) { try await store.entries(in: "s") }
        #expect(error?.description.contains("trajectory 'a' of 's'") == true)
    }
}
