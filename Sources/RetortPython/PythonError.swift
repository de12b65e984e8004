/// The interpreter itself broke; what a program does wrong is an observation instead.
public enum PythonError: Error, CustomStringConvertible {
    case notFound(looked: [String])
    case cannotStart(path: String, reason: String)
    case protocolBroken(String)
    case notCode
    case closed

    public var description: String {
        switch self {
        case .notFound(let looked):
            "no Python environment was found (looked at \(looked.joined(separator: ", "))); run 'make bootstrap', or "
                + "set RETORT_PYTHON to a Python 3.11 or later with numpy and sympy"
        case .cannotStart(let path, let reason): "\(path) could not be started: \(reason)"
        case .protocolBroken(let what): "the Python worker does not answer as it should: \(what)"
        case .notCode: "the interpreter performs Python programs only"
        case .closed: "the interpreter's session is closed"
        }
    }
}

/// What a program may use.
public struct PythonLimits: Sendable, Hashable {
    /// Wall-clock seconds for a program, time in tools not counted.
    public var seconds: Double
    /// Characters of printed output, and of the last value.
    public var outputCharacters: Int
    /// Address space, in bytes, for each process.
    public var memoryBytes: Int

    public init(seconds: Double = 10, outputCharacters: Int = 10_000, memoryBytes: Int = 2 << 30) {
        self.seconds = seconds
        self.outputCharacters = outputCharacters
        self.memoryBytes = memoryBytes
    }
}
