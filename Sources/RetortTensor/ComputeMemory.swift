import CTorch

/// Keeps the memory of large tensors, from 256 KiB on.
///
/// Otherwise the system gets the memory back after every step, and hands it out again page by page, zeroed: two
/// fifths of a training step. Within `kept`, freed memory is reused for the next tensors, on large pages. The memory
/// that is held, used and idle together, is at most what was in use at once within `kept` plus 128 MiB, in blocks
/// that are up to a quarter larger than their tensors (up to twice as large if other blocks would have to be given
/// back). At the end all of it is given back.
public enum ComputeMemory {
    /// Keeps memory while `body` runs. Calls may be nested and may overlap, on any threads; the last one to end gives
    /// the memory back.
    public static func kept<Result>(_ body: () throws -> Result) rethrows -> Result {
        ct_keep_memory()
        defer { ct_release_memory() }
        return try body()
    }

    /// In bytes: used, idle, and the most that was in use at once since the memory was last given back.
    package static var report: (used: Int, idle: Int, most: Int) {
        var (used, idle, most) = (0, 0, 0)
        ct_memory(&used, &idle, &most)
        return (used, idle, most)
    }
}
