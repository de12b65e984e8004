import Foundation
import RetortCore
import RetortStore
import ScratchPostgres
import Testing

@Suite(
    "A store that a fleet shares", .serialized,
    .enabled(if: ScratchPostgres.isInstalled, "PostgreSQL is not installed"),
    .timeLimit(.minutes(30)))
struct FleetStoreTests {
    private let run = FleetRun(name: "r", recipe: "{}", roots: "[]", version: Retort.version, lease: 30)
    private let stage = FleetStage(name: "teach/agent", inputs: ["seed": "7"], models: "[]")
    private let part = FleetPart(run: "r", stage: "teach/agent")

    private func server() throws -> ScratchPostgres { try #require(ScratchPostgres.shared) }

    /// A store with a run and an open stage of so many tasks.
    private func planned(_ count: Int = 0, at server: ScratchPostgres? = nil) async throws -> FleetStore {
        let store = try await FleetStore((server ?? self.server()).database())
        try await store.plan(run, folder: "f", planner: "p")
        try await store.open(stage, of: "r", phase: 0)
        try await store.plan((0..<count).map { ("t\($0)", "{\"n\":\($0)}") }, in: part)
        return store
    }

    private func result(_ seed: UInt64 = 1) -> FleetResult {
        var maker = TrajectoryMaker(seed: seed)
        return FleetResult(entries: [
            StoredTrajectory(trajectory: maker.trajectory(1), verdict: Verdict(isCorrect: true, reason: "so"))
        ])
    }

    @Test("of many workers each task is claimed by one")
    func claims() async throws {
        let store = try await planned(300)
        let taken = try await withThrowingTaskGroup(of: [String].self) { group in
            for worker in 0..<12 {
                group.addTask {
                    var own: [String] = []
                    while true {
                        let claims = try await store.claim(7, in: part, by: "w\(worker)", lease: 60)
                        if claims.isEmpty { return own }
                        own += claims.map(\.id)
                    }
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(taken.count == 300 && Set(taken).count == 300)
        #expect(try await !store.isDone(part))
    }

    @Test("a result comes out as it went in, whatever is in it")
    func content() async throws {
        let store = try await planned(40)
        var sent: [String: StoredTrajectory] = [:]
        for (index, claim) in try await store.claim(40, in: part, by: "w", lease: 60).enumerated() {
            let result = result(UInt64(index))
            sent[claim.id] = result.entries[0]
            #expect(try await store.record(result, of: claim, in: part, by: "w"))
        }
        let found = try await store.results(of: part.stage, run: "r")
        #expect(found.count == 40 && found.allSatisfy { $0.result.entries == [sent[$0.id]] })
        #expect(try await store.isDone(part))
        try await store.markCopied(found.map(\.id), of: part.stage, run: "r")
        #expect(try await store.results(of: part.stage, run: "r").isEmpty)
    }

    @Test("a task whose worker is silent goes to another, and what the first one brings then does not count")
    func fencing() async throws {
        let store = try await planned(1)
        let late = try #require(try await store.claim(1, in: part, by: "a", lease: 0.01).first)
        try await Task.sleep(for: .milliseconds(30))
        let next = try #require(try await store.claim(1, in: part, by: "b", lease: 60).first)
        #expect(next.id == late.id && next.attempt == late.attempt + 1)
        #expect(try await store.renew([late], in: part, by: "a", lease: 60).isEmpty)
        #expect(try await !store.record(result(1), of: late, in: part, by: "a"))
        #expect(try await store.renew([next], in: part, by: "b", lease: 60) == ["t0"])
        #expect(try await store.record(result(2), of: next, in: part, by: "b"))
        // Once more, as after a reply that was lost: it counts, and nothing changes.
        #expect(try await store.record(result(2), of: next, in: part, by: "b"))
        #expect(try await !store.record(result(1), of: late, in: part, by: "a"))
        #expect(try await store.results(of: part.stage, run: "r").first?.result.entries == result(2).entries)
    }

    @Test("what is given back is taken at once")
    func returning() async throws {
        let store = try await planned(1)
        let claims = try await store.claim(1, in: part, by: "a", lease: 600)
        #expect(try await store.claim(1, in: part, by: "b", lease: 600).isEmpty)
        try await store.renew(claims, in: part, by: "a", lease: nil)
        #expect(try await store.claim(1, in: part, by: "b", lease: 600).count == 1)
    }

    @Test("planning twice changes nothing; a task that is done with is opened again, one whose result waits is not")
    func planning() async throws {
        let store = try await planned(2)
        let claim = try #require(try await store.claim(1, in: part, by: "w", lease: 60).first)
        try await store.plan([("t0", "{}"), ("t1", "{}")], in: part)
        #expect(try await store.claim(9, in: part, by: "v", lease: 60).map(\.id) == ["t1"])
        _ = try await store.record(result(), of: claim, in: part, by: "w")
        try await store.plan([("t0", "{}")], in: part)
        #expect(try await store.results(of: part.stage, run: "r").count == 1)
        try await store.markCopied(["t0"], of: part.stage, run: "r")
        try await store.plan([("t0", "{}")], in: part)
        #expect(try await store.claim(9, in: part, by: "w", lease: 60).first?.attempt == 2)
    }

    @Test("a stage that depends on other things begins anew")
    func stale() async throws {
        let store = try await planned(3)
        let claim = try #require(try await store.claim(1, in: part, by: "w", lease: 60).first)
        try await store.open(
            FleetStage(name: stage.name, inputs: ["seed": "8"], models: "[]"), of: "r", phase: 0)
        #expect(try await store.isDone(part))
        #expect(try await !store.record(result(), of: claim, in: part, by: "w"))
        #expect(try await store.openStage(of: "r")?.inputs == ["seed": "8"])
        try await store.close(stage.name, of: "r")
        #expect(try await store.openStage(of: "r") == nil)
        #expect(try await !store.isOpen(part))
    }

    @Test("a task over which too many workers were lost is given up")
    func poison() async throws {
        let store = try await planned(1)
        var claims = 0
        while true {
            try await Task.sleep(for: .milliseconds(5))
            if try await store.claim(1, in: part, by: "w", lease: 0.001).isEmpty { break }
            claims += 1
        }
        #expect(claims == FleetStore.maximumLosses + 1)
        let claim = try #require(try await store.givenUp(in: part).first)
        try await store.giveUp(claim, in: part, failure: "lost")
        #expect(try await store.isDone(part))
    }

    @Test("a server that crashes and comes back is waited for, and nothing is lost")
    func crash() async throws {
        let server = try ScratchPostgres()
        let store = try await planned(200, at: server)
        let work = Task {
            var done: [String] = []
            while let claim = try await store.claim(1, in: part, by: "w", lease: 60).first {
                if try await store.record(result(), of: claim, in: part, by: "w") { done.append(claim.id) }
            }
            return done
        }
        for _ in 0..<2 {
            try await Task.sleep(for: .milliseconds(50))
            server.crash()
            try server.start()
        }
        let done = try await work.value
        // A claim whose reply was lost is one that nobody works on until its time is up.
        let again = try await store.claim(200, in: part, by: "v", lease: 60)
        #expect(Set(done).count == done.count && again.isEmpty)
        var taken: Set<String> = []
        while case let found = try await store.results(of: part.stage, run: "r"), !found.isEmpty {
            try await store.markCopied(found.map(\.id), of: part.stage, run: "r")
            taken.formUnion(found.map(\.id))
        }
        #expect(taken == Set(done) && done.count >= 198)
    }

    @Test("a second planner is turned away while the first one lives, and after it for as long as its run is not done")
    func planners() async throws {
        let store = try await planned()
        var error = await #expect(throws: FleetError.self) { try await store.plan(run, folder: "g", planner: "q") }
        #expect("\(error as Any)".contains("'r' is planned by p, which was heard of "), "\(error as Any)")
        await #expect(throws: FleetError.self) { try await store.remove("r") }
        // The same folder has one process at a time: it goes on at once, and whoever planned before notices.
        try await store.plan(run, folder: "f", planner: "q")
        error = await #expect(throws: FleetError.self) { try await store.keepPlanning("r", planner: "p") }
        #expect("\(error as Any)".contains("planned by q"))
        try await store.endPlanning("r", planner: "q", isDone: false)
        var other = run
        other.recipe = "{\"name\":\"other\"}"
        error = await #expect(throws: FleetError.self) { try await store.plan(other, folder: "g", planner: "s") }
        #expect("\(error as Any)".contains("of another recipe, or of another folder"), "\(error as Any)")
        try await store.remove("r")
        try await store.plan(other, folder: "g", planner: "s")
        error = await #expect(throws: FleetError.self) { try await store.remove("nothing") }
        #expect("\(error as Any)".contains("no run 'nothing'; it holds r"))
    }

    @Test("what others spent is told, and a figure is never counted twice")
    func spending() async throws {
        let store = try await planned()
        let some = Usage(promptTokens: 10, completionTokens: 2)
        #expect(try await store.spend(some, of: "a", for: "teacher", in: "r") == Usage())
        #expect(try await store.spend(some, of: "a", for: "teacher", in: "r") == Usage())
        #expect(try await store.spend(some + some, of: "b", for: "teacher", in: "r") == some)
        #expect(try await store.spend(some, of: "a", for: "teacher", in: "r") == some + some)
        #expect(try await store.spend(some, of: "a", for: "judge", in: "r") == Usage())
    }

    @Test("a file arrives as it is, piece by piece, and a refusal says why")
    func files() async throws {
        let (store, folder) = (try await planned(), try ScratchFolder())
        let data = Data((0..<(5 << 18)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
        try data.write(to: folder.file("f"))
        try await store.want("digest", path: "/f", in: "r")
        #expect(try await store.wanted(in: "r").map(\.path) == ["/f"])
        #expect(try await store.arrival(of: "digest", in: "r") == .underWay(0))
        try await store.send(folder.file("f"), as: "digest", in: "r")
        #expect(try await store.arrival(of: "digest", in: "r") == .there)
        var (found, part) = (Data(), 0)
        while let piece = try await store.piece(part, of: "digest", in: "r") {
            found += piece
            part += 1
        }
        #expect(found == data && part == 2)
        try await store.want("other", path: "/g", in: "r")
        try await store.refuse("other", because: "no such file", in: "r")
        #expect(try await store.arrival(of: "other", in: "r") == .refused("no such file"))
    }

    // MARK: What cannot be used

    private func opening(_ address: String) async -> String {
        let error = await #expect(throws: FleetError.self) { _ = try await FleetStore(address, opening: 0.5) }
        return "\(error as Any)"
    }

    @Test("what is no address, or leads nowhere, is named, and no password is shown")
    func addresses() async throws {
        #expect(await opening("mysql://u:secret@h/d").contains("'mysql://h/d' is no address of a PostgreSQL database"))
        let nowhere = await opening("postgresql://u:secret@127.0.0.1:1/d?connect_timeout=1")
        #expect(nowhere.contains("postgresql://127.0.0.1:1/d cannot be reached"), "\(nowhere)")
        #expect(!nowhere.contains("secret"))
        let server = try server()
        let missing = await opening(server.address("nothing"))
        #expect(missing.contains("lets nobody in") && missing.contains("\"nothing\" does not exist"), "\(missing)")
        let stranger = await opening(server.address("postgres", as: "stranger"))
        #expect(stranger.contains("lets nobody in") && stranger.contains("stranger"), "\(stranger)")
        #expect(await opening("postgresql://h/d?nonsense=1").contains("nonsense"))
    }

    @Test("a user without rights, and tables of another version, are named")
    func refusals() async throws {
        let server = try server()
        try server.sql("DO 'BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN END'")
        let address = try server.database()
        let database = try #require(address.split(separator: "/").dropFirst(2).first?.prefix { $0 != "?" })
        let guest = await opening(server.address(String(database), as: "guest"))
        #expect(guest.contains("permission denied") && guest.contains("GRANT"), "\(guest)")
        _ = try await FleetStore(address)
        let late = await opening(server.address(String(database), as: "guest"))
        #expect(late.contains("permission denied") && late.contains("GRANT"), "\(late)")
        try server.sql("UPDATE retort.schema SET version = 99", in: String(database))
        #expect(await opening(address).contains("tables of version 99, and this version of Retort works with 1"))
    }
}
