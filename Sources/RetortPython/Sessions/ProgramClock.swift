import RetortCore
import Synchronization

/// Counts a program's own time and stops it when that is used up; time in tools is not the program's, nor is time in which it
/// has said something that this busy machine has not read yet.
final class ProgramClock: Sendable {
    private struct State {
        var left: Double
        var since: ContinuousClock.Instant?
        var timer: Alarm?
        var hasExpired = false
    }

    private let state: Mutex<State>
    private let isUnheard: @Sendable () -> Bool
    private let expire: @Sendable () -> Void
    /// After which an unheard program is looked at again.
    private static let glance = 0.05

    init(
        seconds: Double, unless isUnheard: @escaping @Sendable () -> Bool, _ expire: @escaping @Sendable () -> Void
    ) {
        state = Mutex(State(left: seconds))
        self.isUnheard = isUnheard
        self.expire = expire
    }

    var hasExpired: Bool { state.withLock { $0.hasExpired } }

    func start() {
        state.withLock { state in
            state.since = .now
            state.timer = Alarm(
                first: max(state.left, 0.001),
                again: { [self] in
                    if isUnheard() { return Self.glance }
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
            if let since = state.since { state.left -= since.duration(to: .now) / .seconds(1) }
            state.since = nil
        }
    }
}
