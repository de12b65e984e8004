import RetortCore
import Synchronization

/// Counts a program's own time and stops it when that is used up. Time in tools is not the program's, nor is time in which it
/// has said something that this busy machine has not read yet, nor time in which it would go on and has no processor: what
/// else the machine does changes no verdict.
final class ProgramClock: Sendable {
    private struct State {
        var left: Double
        var since: ContinuousClock.Instant?
        /// What the program had waited for a processor until then, in seconds.
        var waited = 0.0
        var timer: Alarm?
        var hasExpired = false
    }

    private let state: Mutex<State>
    private let isUnheard: @Sendable () -> Bool
    private let waited: @Sendable () -> Double
    private let expire: @Sendable () -> Void
    /// After which an unheard program is looked at again.
    private static let glance = 0.05
    /// On a machine so busy that a program takes this many times as long, it is stopped all the same.
    static let usualStretch = 30.0
    private let longest: Double

    /// - Parameters:
    ///   - isUnheard: whether the program has said something that nobody has read.
    ///   - longest: after which it is stopped whatever it waited for, in seconds; nil is thirty times its time.
    ///   - waited: how long the program has been waiting for a processor, since it was born, in seconds.
    init(
        seconds: Double, unless isUnheard: @escaping @Sendable () -> Bool,
        waited: @escaping @Sendable () -> Double = { 0 }, longest: Double? = nil,
        _ expire: @escaping @Sendable () -> Void
    ) {
        state = Mutex(State(left: seconds))
        self.isUnheard = isUnheard
        self.waited = waited
        self.longest = longest ?? max(seconds, 1) * Self.usualStretch
        self.expire = expire
    }

    var hasExpired: Bool { state.withLock { $0.hasExpired } }

    func start() {
        state.withLock { state in
            state.since = .now
            state.waited = waited()
            state.timer = Alarm(
                first: max(state.left, 0.001),
                again: { [self] in
                    if isUnheard() { return Self.glance }
                    if let more = remaining { return max(more, Self.glance) }
                    self.state.withLock { $0.hasExpired = true }
                    expire()
                    return nil
                })
        }
    }

    func stop() {
        state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
            if let since = state.since { state.left -= used(since, state.waited) }
            state.since = nil
        }
    }

    /// What the program used of its time since it went on, in seconds.
    private func used(_ since: ContinuousClock.Instant, _ before: Double) -> Double {
        max(since.duration(to: .now) / .seconds(1) - max(waited() - before, 0), 0)
    }

    /// What is left when the alarm rings; nil for nothing.
    private var remaining: Double? {
        state.withLock { state in
            guard let since = state.since else { return nil }
            let rest = state.left - used(since, state.waited)
            let isOverdue = since.duration(to: .now) / .seconds(1) > longest
            return rest > 0 && !isOverdue ? rest : nil
        }
    }
}
