/// The interpreter itself broke; what a program does wrong is an observation instead.
public enum PythonError: Error, CustomStringConvertible {
    case notFound(looked: [String])
    case cannotStart(path: String, reason: String)
    case protocolBroken(String)
    case sandboxTooWeak(has: SandboxLevel, needed: SandboxLevel, reason: String)
    case notCode
    case closed

    public var description: String {
        switch self {
        case .notFound(let looked):
            "no Python environment was found (looked at \(looked.joined(separator: ", "))); run 'make bootstrap', or "
                + "set RETORT_PYTHON to a Python 3.11 or later with numpy and sympy"
        case .cannotStart(let path, let reason): "\(path) could not be started: \(reason)"
        case .protocolBroken(let what): "the Python worker does not answer as it should: \(what)"
        case .sandboxTooWeak(let has, let needed, let reason):
            "programs would run in a sandbox of level '\(has.rawValue)', but '\(needed.rawValue)' is required (\(reason)); "
                + "run 'retort doctor' to see which layers this machine lacks"
        case .notCode: "the interpreter performs Python programs only"
        case .closed: "the interpreter's session is closed"
        }
    }
}
