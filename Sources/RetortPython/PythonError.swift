/// The interpreter itself broke; what a program does wrong is an observation instead.
public enum PythonError: Error, CustomStringConvertible {
    case notFound(looked: [String])
    case cannotStart(path: String, reason: String)
    case protocolBroken(String)
    case sandboxTooWeak(has: SandboxLevel, needed: SandboxLevel, reason: String)
    case notCode
    case closed
    /// A user's module that cannot be loaded, or functions of it that can be no tools.
    case badModule(file: String, faults: [ModuleFault])
    /// A function of a user's module that is no tool (`setup`, `state`, `grade`) raised, or took too long.
    case hookFailed(file: String, hook: String, reason: String)

    /// What went wrong, and what to do.
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
        case .badModule(let file, let faults):
            faults.map { "\(file)\($0.line.map { ":\($0)" } ?? ""): \($0)" }.joined(separator: "\n")
        case .hookFailed(let file, let hook, let reason): "\(hook)() of \(file) failed: \(reason)"
        }
    }
}

/// What is wrong with a user's module.
public struct ModuleFault: Sendable, Hashable, CustomStringConvertible {
    /// The function that it is about; nil for the module as a whole.
    public let function: String?
    /// From 1; nil where it is not known.
    public let line: Int?
    /// What is wrong with it.
    public let message: String

    package init(function: String?, line: Int?, message: String) {
        (self.function, self.line, self.message) = (function, line, message)
    }

    /// What went wrong, and what to do.
    public var description: String { function.map { "\($0)(): \(message)" } ?? message }
}
