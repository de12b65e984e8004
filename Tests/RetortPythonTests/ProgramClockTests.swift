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

    @Test("a program that waits for a processor is not stopped for it, and afterwards is")
    func starved() async throws {
        let start = ContinuousClock.now
        let isStarved = Mutex(true)
        let waited = Mutex(0.0)
        let (ends, continuation) = AsyncStream<Void>.makeStream()
        let clock = ProgramClock(
            seconds: 0.01, unless: { false },
            waited: {
                // All of the time, until there is a processor.
                waited.withLock { value in
                    if isStarved.withLock({ $0 }) { value = start.duration(to: .now) / .seconds(1) }
                    return value
                }
            }
        ) { continuation.finish() }
        clock.start()
        try await Task.sleep(for: .milliseconds(150))
        #expect(!clock.hasExpired)
        isStarved.withLock { $0 = false }
        for await _ in ends {}
        #expect(clock.hasExpired)
    }

    @Test("however busy the machine is, a program is stopped in the end")
    func overdue() async throws {
        let start = ContinuousClock.now
        let (ends, continuation) = AsyncStream<Void>.makeStream()
        let clock = ProgramClock(
            seconds: 0.001, unless: { false }, waited: { start.duration(to: .now) / .seconds(1) }, longest: 0.1
        ) { continuation.finish() }
        clock.start()
        for await _ in ends {}
        #expect(clock.hasExpired)
    }
}
