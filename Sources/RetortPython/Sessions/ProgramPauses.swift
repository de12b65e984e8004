import Synchronization

/// How soon programs follow the end of the previous one, over all sessions of an interpreter. Preparing for the next
/// program pays off while a model writes it, but delays a program that comes at once, such as a script's.
final class ProgramPauses: Sendable {
    private static let longMilliseconds = 50.0
    /// The running mean of pauses. No pause counts as more than twice a long one, so that the mean is a vote rather
    /// than a measurement.
    private let mean = Mutex(2 * longMilliseconds)

    func note(_ pause: Duration) {
        let milliseconds = min(pause / .milliseconds(1), 2 * Self.longMilliseconds)
        mean.withLock { $0 += (milliseconds - $0) / 8 }
    }

    var areLong: Bool { mean.withLock { $0 > Self.longMilliseconds } }
}
