/// How well model-written programs are shut in. Each level has all that the one below has.
public enum SandboxLevel: String, Sendable, Hashable, CaseIterable, Comparable, Codable {
    /// Processes of their own with limits, but no wall to the host: for trusted programs only.
    case none
    /// System calls are filtered (no sockets, no signals, no new processes), and files are shut by Landlock: only the
    /// interpreter's own can be read and none written. What is left to see: which files and processes exist.
    case restricted
    /// Also namespaces: a view of the file system that holds the interpreter only, no network, processes of its own, and
    /// a private `/tmp` for each session.
    case isolated

    /// Levels are ordered by strength.
    public static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
