import CTorch
import Foundation

/// The threads that libtorch computes with on the CPU.
public enum ComputeThreads {
    /// Starts the program again, once, with threads that sleep while they wait for each other. To be called first in
    /// `main`; does nothing where the environment names a way of waiting already.
    ///
    /// Left to itself, libtorch's OpenMP lets them spin: on a machine that is busy with anything else they burn the
    /// time of the very thread they wait for, and a step takes five to ten times as long; on an idle one they gain
    /// nothing. The OpenMP library reads its environment when it is loaded, before any code of ours runs, so
    /// only a new start can tell it (OpenMP 5.2, section 21.7, `OMP_WAIT_POLICY`).
    public static func restartWithSleepingWaits() {
        #if os(Linux)
            guard getenv("OMP_WAIT_POLICY") == nil, getenv("GOMP_SPINCOUNT") == nil else { return }
            setenv("OMP_WAIT_POLICY", "passive", 1)
            // GNU's OpenMP may still spin for about a fifth of a millisecond, as long as one small operation lasts.
            setenv("GOMP_SPINCOUNT", "5000", 1)
            // By its own path, so that it keeps its name among the processes. Returns only when it fails; then the threads spin.
            if let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
                execv(path, CommandLine.unsafeArgv)
            }
            execv("/proc/self/exe", CommandLine.unsafeArgv)
        #endif
    }

    /// Ends the workers that wait for the calling thread; it gets new ones with its next work.
    ///
    /// Each thread that computes has workers of its own. As soon as all workers together outnumber the processors, GNU's OpenMP
    /// puts each of them to sleep at once instead of letting it wait awake, and waking one takes longer than many a small
    /// operation. Call this when a thread has computed for the last time.
    public static func release() { ct_release_workers() }
}
