/// A failure of the interpreter itself; what a program does wrong is an observation instead.
public enum PythonError: Error, CustomStringConvertible {
    /// There is no Python environment in any of these places.
    case notFound(looked: [String])
    /// This program could not be started, with the reason.
    case cannotStart(path: String, reason: String)
    /// The worker's answer does not follow the protocol.
    case protocolBroken(String)
    /// The strongest available sandbox is weaker than required, with the reason.
    case sandboxTooWeak(has: SandboxLevel, needed: SandboxLevel, reason: String)
    /// The action is not a program.
    case notCode
    /// The session was closed.
    case closed
    /// A user's module that cannot be loaded, or has functions that cannot be tools.
    case badModule(file: String, faults: [ModuleFault])
    /// A hook of a user's module (`setup`, `state`, `grade`) that raised, or took too long.
    case hookFailed(file: String, hook: String, reason: String)

    /// The fault and its remedy, for people.
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

/// A fault of a user's module.
public struct ModuleFault: Sendable, Hashable, CustomStringConvertible {
    /// The function at fault; nil for the module as a whole.
    public let function: String?
    /// The line in the file, counted from 1; nil if unknown.
    public let line: Int?
    /// What is wrong, without the function's name.
    public let message: String

    package init(function: String?, line: Int?, message: String) {
        (self.function, self.line, self.message) = (function, line, message)
    }

    /// The message, after the function's name if there is one.
    public var description: String { function.map { "\($0)(): \(message)" } ?? message }
}
