import CTorch
import Foundation

/// The threads that libtorch computes with on the CPU.
public enum ComputeThreads {
    /// Restarts the program, once, so that its compute threads sleep while they wait for each other. It must be
    /// called first in `main`, and does nothing if the environment already sets a waiting policy.
    ///
    /// By default the threads of libtorch's OpenMP spin. On a busy machine they take the time of the very thread they
    /// wait for, and a step takes five to ten times as long; on an idle one spinning gains nothing. The OpenMP
    /// library reads its environment when it is loaded, before any of our code runs, so only a restart can change it
    /// (OpenMP 5.2, section 21.7, `OMP_WAIT_POLICY`).
    public static func restartWithSleepingWaits() {
        #if os(Linux)
            guard getenv("OMP_WAIT_POLICY") == nil, getenv("GOMP_SPINCOUNT") == nil else { return }
            setenv("OMP_WAIT_POLICY", "passive", 1)
            // GNU's OpenMP may still spin for about a fifth of a millisecond, as long as a small operation takes.
            setenv("GOMP_SPINCOUNT", "5000", 1)
            // Through its own path, so that the process keeps its name. This returns only on failure; then the
            // threads spin.
            if let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
                execv(path, CommandLine.unsafeArgv)
            }
            execv("/proc/self/exe", CommandLine.unsafeArgv)
        #endif
    }

    /// Ends the workers that wait for the calling thread; it gets new ones with its next work.
    ///
    /// Each computing thread has workers of its own. As soon as all workers together outnumber the processors, GNU's
    /// OpenMP puts each of them to sleep at once instead of letting it spin, and waking one takes longer than many a
    /// small operation. Call this when a thread has computed for the last time.
    public static func release() { ct_release_workers() }
}
