import CTorch

/// The memory of large tensors, from 256 KiB on.
///
/// Left to itself the system gets it back after every step, and gives it again page by page, zeroed: two fifths of a training
/// step. Within `kept`, freed memory serves the next tensors, on large pages. What is held, in use and idle, is never more than what
/// was in use at once within `kept` and 128 MiB, in blocks that are up to a quarter larger than their tensors, or twice where the alternative is
/// to give others back; at the end all of it goes back.
public enum ComputeMemory {
    /// Keeps memory while `body` runs. Calls may be nested and overlap, on any threads; the last one to end gives it back.
    public static func kept<Result>(_ body: () throws -> Result) rethrows -> Result {
        ct_keep_memory()
        defer { ct_release_memory() }
        return try body()
    }

    /// In bytes: in use, idle, and the most that was in use at once since all was given back.
    package static var report: (used: Int, idle: Int, most: Int) {
        var (used, idle, most) = (0, 0, 0)
        ct_memory(&used, &idle, &most)
        return (used, idle, most)
    }
}
