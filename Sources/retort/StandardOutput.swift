#if canImport(Glibc)
    @preconcurrency import Glibc
#elseif canImport(Darwin)
    @preconcurrency import Darwin
#endif

enum StandardOutput {
    /// Writes out what was printed so far. `fflush(nil)` would also want standard input, which a thread that waits for a line holds for
    /// as long as it waits.
    static func flush() { fflush(stdout) }
}
