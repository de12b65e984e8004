/// How well model-written programs are confined. Each level includes the one below.
public enum SandboxLevel: String, Sendable, Hashable, CaseIterable, Comparable, Codable {
    /// Separate processes with limits, but no wall to the host: only for trusted programs.
    case none
    /// System calls are filtered (no sockets, no signals, no new processes), and Landlock restricts files: only the
    /// interpreter's own can be read, and none written. Programs can still see which files and processes exist.
    case restricted
    /// Additionally namespaces: a file system that contains only the interpreter, no network, a separate process
    /// table, and a private `/tmp` for each session.
    case isolated

    /// Levels are ordered by strength.
    public static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
