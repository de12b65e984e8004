import RetortCore
import Synchronization

/// Counts a program's own time and stops it when that is used up; time in tools is not the program's.
final class ProgramClock: Sendable {
    private struct State {
        var left: Double
        var since: ContinuousClock.Instant?
        var timer: Alarm?
        var hasExpired = false
    }

    private let state: Mutex<State>
    private let expire: @Sendable () -> Void

    init(seconds: Double, _ expire: @escaping @Sendable () -> Void) {
        state = Mutex(State(left: seconds))
        self.expire = expire
    }

    var hasExpired: Bool { state.withLock { $0.hasExpired } }

    func start() {
        state.withLock { state in
            state.since = .now
            state.timer = Alarm(seconds: max(state.left, 0.001)) { [self] in
                self.state.withLock { $0.hasExpired = true }
                expire()
            }
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
