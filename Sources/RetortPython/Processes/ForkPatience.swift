import Glibc

/// Decides when to stop waiting for a process that was asked to fork.
///
/// A program may have left its process unable to fork: asleep, in a loop, or with a child that never answers. How
/// long a healthy fork takes depends on the machine's load, so the clock alone does not decide: as long as one of the
/// processes wants the processor and has used little of it, the fork may still come.
struct ForkPatience {
    /// An observation of a process that was asked to fork.
    struct Look: Equatable {
        /// Whether the process, or one that it has forked since, runs or waits for the processor or a disk.
        var isAtWork: Bool
        /// The process's own processor time, in seconds. That of a new process is limited by the kernel.
        var seconds: Double
    }

    /// The pause between observations, in seconds.
    static let pause = 0.25
    /// After this many observations in a row with all processes asleep, the wait ends; a healthy process sleeps only
    /// until its request arrives.
    private static let idleLooks = 12
    /// A healthy fork costs its parent milliseconds of processor time.
    private static let mostSeconds = 5.0

    private var idle = 0
    private var first: Double?

    /// Adds an observation.
    /// - Returns: whether to give up.
    mutating func isSpent(after look: Look) -> Bool {
        idle = look.isAtWork ? 0 : idle + 1
        let first = first ?? look.seconds
        self.first = first
        return idle >= Self.idleLooks || look.seconds - first > Self.mostSeconds
    }

    /// Watches a process until nothing more can be expected of it, or the task is cancelled.
    /// - Returns: false when the task was cancelled.
    static func isSpent(on pid: pid_t) async -> Bool {
        var patience = ForkPatience()
        // Earlier forks run programs of their own.
        let earlier = Set(ProcessFacts.children(of: pid))
        while (try? await Task.sleep(for: .seconds(pause))) != nil {
            if patience.isSpent(after: look(at: pid, besides: earlier)) { return true }
        }
        return false
    }

    private static func look(at pid: pid_t, besides earlier: Set<pid_t>) -> Look {
        let processes = ProcessFacts.descendants(of: pid, besides: earlier)
        return Look(
            isAtWork: processes.contains { ProcessFacts($0).times?.isAtWork == true },
            seconds: ProcessFacts(pid).times?.seconds ?? 0)
    }
}
