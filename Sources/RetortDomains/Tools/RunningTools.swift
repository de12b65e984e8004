import RetortCore
import RetortPython

/// Something outside the agent's session that is running and answers for tools: a process of the user's own, or a
/// server of the Model Context Protocol.
protocol RunningTools: Sendable {
    /// Calls a tool.
    /// - Parameter tool: by its name in Python.
    /// - Throws: what the agent observes; `ToolServiceError.unavailable` and `hookFailed`, which end its run;
    ///   `ToolServiceError.changed`, which ends the whole command.
    func call(_ tool: String, _ arguments: [String: JSONValue]) async throws -> JSONValue

    /// Ends it. Safe to call twice.
    func close() async
}

/// Where tools outside the session are declared, and how they are started.
struct ToolService: Sendable {
    /// Its name in errors, such as `tools.py` or `the MCP server 'time'`.
    let name: String
    let lifetime: DomainPlan.Lifetime
    /// The tools as they were when the domain was opened.
    let specifications: [ToolSpecification]
    /// Whether a task's own state is made before its tools are called.
    let hasSetup: Bool
    /// What `retort check` reports about it.
    let remark: String
    /// Other files of the user's that it imports.
    var companions: [PythonModule.Companion] = []
    /// Starts a new one: for all tasks, or for the task with this record.
    let start: @Sendable (_ task: JSONValue?) async throws -> any RunningTools
}

/// A failure of tools outside the session.
public enum ToolServiceError: Error, CustomStringConvertible, RunHalting {
    /// A call without a result: its process ended or hung, or answered wrongly. The agent observes it.
    case failed(tool: String, reason: String)
    /// The service has gone or cannot be started. That is not the agent's fault, so the run of its task counts as
    /// failed.
    case unavailable(service: String, reason: String)
    /// A hook of a task's own process, such as `setup`, raised an exception.
    case hookFailed(file: String, hook: String, reason: String)
    /// Its tools are no longer those that the agents were told of.
    case changed(service: String, what: [String])
    /// A tool that belongs to a task was called outside of any task.
    case noTask(tool: String)

    /// True when the tools have changed: results before and after would not be comparable.
    public var haltsRun: Bool { if case .changed = self { true } else { false } }

    /// Whether it makes the run of the current task a failed one.
    var failsRun: Bool {
        switch self {
        case .unavailable, .hookFailed: true
        case .failed, .changed, .noTask: false
        }
    }

    /// A message for users, or for the agent where it observes the failure.
    public var description: String {
        switch self {
        case .failed(let tool, let reason): "\(tool)(): \(reason)"
        case .unavailable(let service, let reason): "\(service) is not available: \(reason)"
        case .hookFailed(let file, let hook, let reason): "\(hook)() of \(file) failed: \(reason)"
        case .changed(let service, let what):
            "the tools of \(service) have changed since they were listed: \(what.joined(separator: "; ")). Start the same "
                + "command again: what was made with the old ones is made anew"
        case .noTask(let tool): "\(tool)() belongs to one task, and none is at work"
        }
    }
}
