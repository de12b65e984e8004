import RetortCore
import Synchronization
import Testing

@Suite("Deadlines for others' work")
struct DeadlineTests {
    private struct Broken: Error {}

    @Test("work that ends in time gives its value or its error")
    func inTime() async throws {
        #expect(try await withDeadline(seconds: 3600) { 7 } == 7)
        await #expect(throws: Broken.self) { try await withDeadline(seconds: 3600) { throw Broken() } as Int? }
    }

    @Test("work that is late is cancelled, whether it listens or not")
    func late() async throws {
        let wasCancelled = Mutex(false)
        let listening: Int? = try await withDeadline(seconds: 0.01, grace: 60) {
            try? await Task.sleep(for: .seconds(600))
            wasCancelled.withLock { $0 = Task.isCancelled }
            return 7
        }
        #expect(listening == nil && wasCancelled.withLock { $0 })
        let (never, end) = AsyncStream.makeStream(of: Void.self)
        let deaf: Int? = try await withDeadline(seconds: 0.01, grace: 0.01) {
            await Task.detached { for await _ in never {} }.value
            return 7
        }
        #expect(deaf == nil)
        end.finish()
    }

    @Test("a caller that is cancelled does not wait for work that does not listen")
    func cancelled() async throws {
        let (never, end) = AsyncStream.makeStream(of: Void.self)
        let (begun, begin) = AsyncStream.makeStream(of: Void.self)
        let caller = Task {
            try await withDeadline(seconds: 600, grace: 0.01) {
                begin.finish()
                await Task.detached { for await _ in never {} }.value
                return 7
            }
        }
        for await _ in begun {}
        caller.cancel()
        await #expect(throws: CancellationError.self) { try await caller.value }
        end.finish()
    }
}
