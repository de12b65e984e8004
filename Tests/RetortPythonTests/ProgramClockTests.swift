import Synchronization
import Testing

@testable import RetortPython

@Suite("A program's clock")
struct ProgramClockTests {
    @Test("a program whose words nobody has read yet is not stopped for it, and afterwards is")
    func unheard() async throws {
        let isUnheard = Mutex(true)
        let (ends, continuation) = AsyncStream<Void>.makeStream()
        let clock = ProgramClock(seconds: 0.001, unless: { isUnheard.withLock { $0 } }) { continuation.finish() }
        clock.start()
        try await Task.sleep(for: .milliseconds(200))
        #expect(!clock.hasExpired)
        isUnheard.withLock { $0 = false }
        for await _ in ends {}
        #expect(clock.hasExpired)
    }
}
