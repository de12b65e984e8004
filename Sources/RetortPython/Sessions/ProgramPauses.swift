import Synchronization

/// How soon programs follow the ends of those before them, in all sessions of an interpreter: work ahead of a program
/// pays while a model writes it, and is in the way of one that is there at once, as a script's is.
final class ProgramPauses: Sendable {
    private static let longMilliseconds = 50.0
    /// The running mean of pauses, none of which counts as more than twice a long one: so it is a vote.
    private let mean = Mutex(2 * longMilliseconds)

    func note(_ pause: Duration) {
        let milliseconds = min(pause / .milliseconds(1), 2 * Self.longMilliseconds)
        mean.withLock { $0 += (milliseconds - $0) / 8 }
    }

    var areLong: Bool { mean.withLock { $0 > Self.longMilliseconds } }
}
