import RetortCore
import Synchronization

/// Counts a program's own time and stops the program when that is used up. Time in tools does not count, nor time in
/// which the host has not yet read what the program sent, nor time in which the program is ready to run but has no
/// processor. The load of the machine therefore changes no verdict.
final class ProgramClock: Sendable {
    private struct State {
        var left: Double
        var since: ContinuousClock.Instant?
        /// How long the program had waited for a processor when the clock was started, in seconds.
        var waited = 0.0
        var timer: Alarm?
        var hasExpired = false
    }

    private let state: Mutex<State>
    private let isUnheard: @Sendable () -> Bool
    private let waited: @Sendable () -> Double
    private let expire: @Sendable () -> Void
    /// The pause before looking again at a program whose message is unread, in seconds.
    private static let glance = 0.05
    /// A program that takes this many times its limit is stopped in any case, however busy the machine is.
    static let usualStretch = 30.0
    private let longest: Double

    /// - Parameters:
    ///   - isUnheard: whether the program has sent something that nobody has read.
    ///   - longest: the time after which the program is stopped in any case, in seconds; nil is thirty times its
    ///     limit.
    ///   - waited: how long the program has waited for a processor since it was started, in seconds.
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

    /// The program's own time since the clock was last started, in seconds.
    private func used(_ since: ContinuousClock.Instant, _ before: Double) -> Double {
        max(since.duration(to: .now) / .seconds(1) - max(waited() - before, 0), 0)
    }

    /// The time left when the alarm rings; nil when it is used up.
    private var remaining: Double? {
        state.withLock { state in
            guard let since = state.since else { return nil }
            let rest = state.left - used(since, state.waited)
            let isOverdue = since.duration(to: .now) / .seconds(1) > longest
            return rest > 0 && !isOverdue ? rest : nil
        }
    }
}
