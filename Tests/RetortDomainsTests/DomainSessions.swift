import RetortCore
import RetortDomains
import RetortPython

extension FolderDomain {
    /// A session of a test task.
    func session(_ form: ActionForm = .json, task: Int = 0) async throws -> any Environment {
        try await session(for: tests[task], form: form, tools: hostTools) { try await PythonInterpreter() }
    }
}

extension Environment {
    func call(_ name: String, _ arguments: JSONValue = [:]) async throws -> Observation {
        try await perform(.toolCall(name: name, arguments: arguments))
    }
}
