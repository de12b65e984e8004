import RetortCore
import Testing

@testable import RetortRemote

@Suite("Where an agent's requests go", .timeLimit(.minutes(30)))
struct PrefixHomeTests {
    private func pool(_ weights: [Double], concurrency: Int = 64) throws -> EndpointPool {
        EndpointPool(
            try weights.map { try Endpoint("http://127.0.0.1:1", model: "m", weight: $0, concurrency: concurrency) },
            retries: .init(base: 0.01, failuresToOpen: 1), queue: 64)
    }

    private func home(_ number: Int) -> PrefixHome { PrefixHome("question \(number)".utf8) }

    /// The endpoint that a request alone gets.
    private func place(_ pool: EndpointPool, _ number: Int) async throws -> Int {
        let lease = try await pool.lease(since: .now, home: home(number))
        pool.release(lease, .success)
        return lease.index
    }

    @Test("a chat stays with its endpoint, and chats are spread by weight")
    func spread() async throws {
        let pool = try pool([1, 1, 2])
        var places: [Int] = []
        for number in 0..<400 { places.append(try await place(pool, number)) }
        for number in 0..<400 { #expect(try await place(pool, number) == places[number]) }
        let counts = (0..<3).map { index in places.count { $0 == index } }
        #expect(counts[0] > 60 && counts[1] > 60 && counts[2] > 140, "\(counts)")
    }

    @Test("when an endpoint rests only its own chats go elsewhere, and then they come back")
    func resting() async throws {
        let pool = try pool([1, 1, 1])
        var before: [Int] = []
        for number in 0..<60 { before.append(try await place(pool, number)) }
        let own = try #require(before.firstIndex(of: 1))
        pool.release(try await pool.lease(since: .now, home: home(own)), .pause(3600))
        for number in 0..<60 where before[number] != 1 { #expect(try await place(pool, number) == before[number]) }
        #expect(try await place(pool, own) != 1)
    }

    @Test("while all endpoints are left alone one request each tries them, first the one that failed first")
    func trials() async throws {
        let endpoints = try (1...3).map { try Endpoint("http://127.0.0.1:\($0)", model: "m") }
        let pool = EndpointPool(
            endpoints, retries: .init(base: 300, patience: 60, failuresToOpen: 1), queue: 64, outage: .refuses)
        var failed: [Int] = []
        for _ in 0..<3 {
            let lease = try await pool.lease(since: .now)
            #expect(!lease.isTrial)
            pool.release(lease, .down)
            failed.append(lease.index)
        }
        // A request that fails tries the next one.
        let first = try await pool.lease(since: .now)
        pool.release(first, .down)
        let second = try await pool.lease(since: .now, avoiding: [first.index])
        #expect([first.index, second.index] == Array(failed.prefix(2)) && first.isTrial && second.isTrial)
        // One failed later than the other, one is being tried; beyond three requests, the next one waits.
        let third = try await pool.lease(since: .now)
        let fourth = try await pool.lease(since: .now)
        #expect([third.index, fourth.index] == [failed[2], failed[0]])
        let waiting = Task { try await pool.lease(since: .now) }
        while pool.waiting == 0 { await Task.yield() }
        // One that answers is open to all, before its answer has ended.
        pool.answers(third)
        #expect(try await waiting.value.index == third.index)
        let fifth = try await pool.lease(since: .now)
        #expect(fifth.index == third.index && !fifth.isTrial)
        #expect(pool.standings.map(\.isHealthy) == (0..<3).map { $0 == third.index })
        // One whose answers broke off has begun such an answer before: it gets one request until that has succeeded.
        let broken = EndpointPool(
            [endpoints[0]], retries: .init(base: 300, patience: 60, failuresToOpen: 1), queue: 64, outage: .refuses)
        broken.release(try await broken.lease(since: .now), .failure)
        let attempt = try await broken.lease(since: .now)
        broken.answers(attempt)
        let next = Task { try await broken.lease(since: .now) }
        while broken.waiting == 0 { await Task.yield() }
        broken.release(attempt, .success)
        #expect(try await !next.value.isTrial)
        // A pause that an endpoint asked for is kept.
        let asked = EndpointPool([endpoints[0]], retries: .init(patience: 60), queue: 64, outage: .refuses)
        asked.release(try await asked.lease(since: .now), .pause(300))
        await #expect(throws: EndpointPool.AllRest.self) { try await asked.lease(since: .now) }
    }

    @Test("one busy chat does not fill its endpoint while others have nothing to do")
    func bounded() async throws {
        let pool = try pool([1, 1])
        var counts = [0, 0]
        for _ in 0..<40 { counts[try await pool.lease(since: .now, home: home(0)).index] += 1 }
        #expect(counts.min() ?? 0 >= 14 && counts.max() ?? 0 > 20, "\(counts)")
    }

    @Test("what comes later in a chat does not move it, what it begins with does")
    func beginning() {
        let start = [Message(.system, "s"), Message(.user, "q")]
        let later = start + [Message(.assistant, "a"), Message(.user, "b")]
        let request = { (messages: [Message]) in GenerationRequest(messages: messages) }
        #expect(PrefixHome(request(start)) == PrefixHome(request(later)))
        #expect(PrefixHome(request(start)) != PrefixHome(request([Message(.system, "s"), Message(.user, "r")])))
        #expect(PrefixHome(request([])) == nil)
    }
}
