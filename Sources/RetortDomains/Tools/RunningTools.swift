import RetortCore
import RetortPython

/// Something outside the agent's session that is up and answers for tools: a process of the user's own, or a server of
/// the Model Context Protocol.
protocol RunningTools: Sendable {
    /// Calls a tool.
    /// - Parameter tool: by its name in Python.
    /// - Throws: what the agent observes; `ToolServiceError.unavailable` and `hookFailed`, which end its run;
    ///   `ToolServiceError.changed`, which ends all.
    func call(_ tool: String, _ arguments: [String: JSONValue]) async throws -> JSONValue

    /// Ends it. Safe to call twice.
    func close() async
}

/// Where tools outside the session are declared, and how they are had.
struct ToolService: Sendable {
    /// As errors call it, such as `tools.py` or `the MCP server 'time'`.
    let name: String
    let lifetime: DomainPlan.Lifetime
    /// As they were when the domain was opened.
    let specifications: [ToolSpecification]
    /// Whether a task's own state is made before its tools are called.
    let hasSetup: Bool
    /// What is to be told of it by `retort check`.
    let remark: String
    /// Other files of the user's that it imports.
    var companions: [PythonModule.Companion] = []
    /// A new one: for all, or for the task with this record.
    let start: @Sendable (_ task: JSONValue?) async throws -> any RunningTools
}

/// Tools outside the session that cannot do their work.
public enum ToolServiceError: Error, CustomStringConvertible, RunHalting {
    /// A call that came to nothing: its process ended or hung, or said what it should not. The agent observes it.
    case failed(tool: String, reason: String)
    /// It is not there any more, or cannot be started: no agent's fault, so the run of its task is a failed one.
    case unavailable(service: String, reason: String)
    /// `setup` of a task's own process raised.
    case hookFailed(file: String, hook: String, reason: String)
    /// Its tools are not those that the agents were told of.
    case changed(service: String, what: [String])
    /// A tool that belongs to a task was called outside of any.
    case noTask(tool: String)

    public var haltsRun: Bool { if case .changed = self { true } else { false } }

    /// Whether the run of the task at hand has failed with it.
    var failsRun: Bool {
        switch self {
        case .unavailable, .hookFailed: true
        case .failed, .changed, .noTask: false
        }
    }

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .failed(let tool, let reason): "\(tool)(): \(reason)"
        case .unavailable(let service, let reason): "\(service) is not to be had: \(reason)"
        case .hookFailed(let file, let hook, let reason): "\(hook)() of \(file) failed: \(reason)"
        case .changed(let service, let what):
            "the tools of \(service) have changed since they were listed: \(what.joined(separator: "; ")). Start the same "
                + "command again: what was made with the old ones is made anew"
        case .noTask(let tool): "\(tool)() belongs to one task, and none is at work"
        }
    }
}
