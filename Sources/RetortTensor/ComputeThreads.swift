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
            // GNU's OpenMP may still spin for some microseconds, as long as one small operation lasts.
            setenv("GOMP_SPINCOUNT", "1000", 1)
            // By its own path, so that it keeps its name among the processes. Returns only when it fails; then the threads spin.
            if let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
                execv(path, CommandLine.unsafeArgv)
            }
            execv("/proc/self/exe", CommandLine.unsafeArgv)
        #endif
    }
}
