import Glibc
import Synchronization

/// The groups of programs that this process started and that have not ended.
///
/// Most programs end when their input does. One that hangs does not see it, and would outlive the command that started it.
public enum LivingGroups {
    private static let groups = Mutex<Set<pid_t>>([])

    static func add(_ pid: pid_t) { _ = groups.withLock { $0.insert(pid) } }

    /// Before the end of a program is taken: from then on its number may be another's.
    static func remove(_ pid: pid_t) { _ = groups.withLock { $0.remove(pid) } }

    /// Tells all of them to end, and kills what has not after so many seconds: for the last moment of a process. Blocks.
    public static func end(within seconds: Double) {
        guard signal(SIGTERM) else { return }
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            usleep(10_000)
            if groups.withLock(\.isEmpty) { return }
        }
        _ = signal(SIGKILL)
    }

    /// - Returns: whether there was any.
    private static func signal(_ number: Int32) -> Bool {
        groups.withLock { groups in
            for pid in groups { kill(-pid, number) }
            return !groups.isEmpty
        }
    }
}
