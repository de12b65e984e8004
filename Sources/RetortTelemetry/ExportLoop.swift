import RetortCore
import Synchronization

/// Sends what has gathered: every so often, when asked to hurry, and once more at the end. Two sends never overlap.
final class ExportLoop: Sendable {
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private let alarm: Alarm
    private let work = Mutex<Task<Void, Never>?>(nil)

    /// - Parameter seconds: the time between two sends.
    init(every seconds: Double) {
        let (wakes, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        (self.wakes, self.wake) = (wakes, wake)
        alarm = Alarm(first: seconds) {
            wake.yield()
            return seconds
        }
    }

    /// Begins; to be called once.
    func begin(_ send: @escaping @Sendable () async -> Void) {
        let wakes = wakes
        work.withLock { $0 = Task { for await _ in wakes { await send() } } }
    }

    /// Sends now.
    func hurry() { wake.yield() }

    /// Sends once more, and ends.
    /// - Parameter seconds: the longest that this takes; what is under way is then cancelled.
    func end(within seconds: Double) async {
        alarm.cancel()
        wake.yield()
        wake.finish()
        let task = work.withLock { $0 }
        let limit = Alarm(seconds: seconds) { task?.cancel() }
        await task?.value
        limit.cancel()
    }
}
