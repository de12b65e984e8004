import Glibc
import Synchronization

/// The process groups that this process started and that have not ended.
///
/// Most programs end when their input does. A program that hangs does not notice, and would outlive the command that
/// started it.
public enum LivingGroups {
    private static let groups = Mutex<Set<pid_t>>([])

    static func add(_ pid: pid_t) { _ = groups.withLock { $0.insert(pid) } }

    /// Must be called before the program is reaped: after that its number may belong to another process.
    static func remove(_ pid: pid_t) { _ = groups.withLock { $0.remove(pid) } }

    /// Asks all groups to end, and kills those that have not ended after this many seconds. Meant for the end of a
    /// process; blocks.
    public static func end(within seconds: Double) {
        guard signal(SIGTERM) else { return }
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            usleep(10_000)
            if groups.withLock(\.isEmpty) { return }
        }
        _ = signal(SIGKILL)
    }

    /// - Returns: whether there was any group.
    private static func signal(_ number: Int32) -> Bool {
        groups.withLock { groups in
            for pid in groups { kill(-pid, number) }
            return !groups.isEmpty
        }
    }
}
