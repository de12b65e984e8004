import RetortCore
import Synchronization
import Testing

@testable import RetortRetrieval

@Suite("Questions that are answered together")
struct JoinedQuestionsTests {
    /// Answers when it is let to; notes what it was asked.
    private final class RecordingServer: Sendable {
        private let asked = Mutex<[[String]]>([])
        private let cancelled = Mutex(0)
        let gate = AsyncStream<Void>.makeStream()

        var calls: [[String]] { asked.withLock { $0 } }
        var cancellations: Int { cancelled.withLock { $0 } }

        func note(_ questions: [String]) { asked.withLock { $0.append(questions) } }
        func noteCancellation() { cancelled.withLock { $0 += 1 } }
    }

    private struct Broken: Error {}

    private func joined(
        _ server: RecordingServer, remembered: Int = 100, atOnce: Int = 100, passes: Int = 1, waiting: Int = 1000
    ) -> JoinedQuestions<String, Int> {
        JoinedQuestions(remembered: remembered, mostAtOnce: atOnce, passes: passes, mostWaiting: waiting) { questions in
            server.note(questions)
            if questions.contains("slow") {
                do { try await Task.sleep(for: .seconds(600)) } catch {
                    server.noteCancellation()
                    throw error
                }
            }
            if questions.contains("gate") { for await _ in server.gate.stream { break } }
            if questions.contains("broken") { throw Broken() }
            return questions.map(\.count)
        }
    }

    private func wait(until holds: () async -> Bool) async throws {
        for _ in 0..<2000 where await !holds() { try await Task.sleep(for: .milliseconds(5)) }
        #expect(await holds())
    }

    @Test("a batch is one pass, equal questions are asked once, and answers stand in the order of the questions")
    func batch() async throws {
        let server = RecordingServer()
        let joined = joined(server)
        #expect(try await joined.answers(["aa", "b", "aa", "ccc", ""]) == [2, 1, 2, 3, 0])
        #expect(server.calls == [["aa", "b", "ccc", ""]])
        #expect(try await joined.answers([]).isEmpty)
        #expect(try await joined.answers(["b", "dd"]) == [1, 2])
        #expect(server.calls.last == ["dd"])
        let account = await joined.current
        #expect(account.remembered == 1 && account.worked == 5 && account.passes == 2 && account.largest == 4)
    }

    @Test("what is asked while a pass is under way goes into the next one together")
    func gathering() async throws {
        let server = RecordingServer()
        let joined = joined(server, atOnce: 3)
        let first = Task { try await joined.answer("gate") }
        try await wait { server.calls.count == 1 }
        let others = (0..<5).map { number in Task { try await joined.answer("q\(number)") } }
        try await wait { await joined.current.waiting == 6 }
        server.gate.continuation.yield()
        for task in others { #expect(try await task.value == 2) }
        #expect(try await first.value == 4)
        #expect(server.calls.map(\.count) == [1, 3, 2])
    }

    @Test("the answers used last are remembered, and no more of them than may be")
    func recent() async throws {
        let server = RecordingServer()
        let joined = joined(server, remembered: 2)
        for question in ["a", "b", "a", "c", "a", "b"] { _ = try await joined.answer(question) }
        // "b" fell out when "c" came, for "a" was used since.
        #expect(server.calls == [["a"], ["b"], ["c"], ["b"]])
        #expect(await joined.current.kept == 2)
        let none = self.joined(server, remembered: 0)
        for _ in 0..<3 { _ = try await none.answer("x") }
        #expect(server.calls.filter { $0 == ["x"] }.count == 3)
    }

    @Test("values that are used again and again take no room")
    func values() {
        var values = RecentValues<Int, Int>(limit: 3)
        for round in 0..<1000 {
            for key in 0..<3 { values.keep(round, for: key) }
            #expect(values.value(of: 1) == round)
        }
        values.keep(7, for: 9)
        #expect(
            values.count == 3 && values.value(of: 0) == nil && values.value(of: 9) == 7 && values.value(of: 1) == 999)
    }

    @Test("an error comes to all who wait for the pass, is not remembered, and hurts no other pass")
    func errors() async throws {
        let server = RecordingServer()
        let joined = joined(server, atOnce: 2)
        await #expect(throws: Broken.self) { try await joined.answers(["a", "b", "c", "broken", "e", "f"]) }
        #expect(try await joined.answer("a") == 1)
        await #expect(throws: Broken.self) { try await joined.answer("broken") }
        try await wait { await joined.current.waiting == 0 }
        let few = JoinedQuestions<String, Int>(remembered: 1, mostAtOnce: 9, passes: 1) { _ in [] }
        await #expect(throws: RetrievalError.self) { try await few.answer("a") }
    }

    @Test("who is cancelled leaves at once; a pass goes on for the others, and is cancelled when nobody is left")
    func cancellation() async throws {
        let server = RecordingServer()
        let joined = joined(server)
        let first = Task { try await joined.answer("slow") }
        try await wait { server.calls.count == 1 }
        let second = Task { try await joined.answer("slow") }
        let third = Task { try await joined.answers(["later", "slow"]) }
        try await wait { await joined.current.waiting == 2 }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        #expect(server.cancellations == 0)
        third.cancel()
        await #expect(throws: CancellationError.self) { try await third.value }
        #expect(await joined.current.waiting == 1)
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        try await wait { server.cancellations == 1 }
        #expect(try await joined.answer("after") == 5)
        #expect(server.calls == [["slow"], ["after"]])
        let before = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await joined.answer("never")
        }
        await #expect(throws: CancellationError.self) { try await before.value }
    }

    @Test("who asks for what a cancelled pass was about gets a pass of their own")
    func anew() async throws {
        let server = RecordingServer()
        let joined = joined(server, passes: 2)
        let first = Task { try await joined.answer("slow") }
        try await wait { server.calls.count == 1 }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        let second = Task { try await joined.answer("slow") }
        try await wait { server.calls.count == 2 }
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
    }

    @Test("more questions than may wait are refused")
    func bounds() async throws {
        let server = RecordingServer()
        let joined = joined(server, waiting: 3)
        let first = Task { try await joined.answer("slow") }
        try await wait { server.calls.count == 1 }
        let others = (0..<2).map { number in Task { try await joined.answer("q\(number)") } }
        try await wait { await joined.current.waiting == 3 }
        await #expect(throws: RetrievalError.crowded(waiting: 3)) { try await joined.answer("more") }
        for task in others + [first] { task.cancel() }
        for task in others + [first] { _ = await task.result }
        try await wait { await joined.current.waiting == 0 }
        #expect(try await joined.answers(["a", "b", "c", "d"]) == [1, 1, 1, 1])
    }
}
