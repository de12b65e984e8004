import Foundation
import RetortCore

/// A user's Python file whose functions are tools inside the session: their state is the session's, and forks with it.
///
/// The file may also define `setup(task)`, `state()` and `grade(task, answer, state)`, which are no tools.
public struct PythonModule: Sendable, Hashable {
    /// The Python file.
    public var file: URL
    /// Files and folders that it may read, all of them beside it or below its folder.
    public var files: [URL]
    /// The functions that are tools; nil takes all public ones.
    public var functions: [String]?

    /// - Parameter functions: nil takes all public ones.
    public init(_ file: URL, files: [URL] = [], functions: [String]? = nil) {
        self.file = file.standardizedFileURL
        self.files = files.map(\.standardizedFileURL)
        self.functions = functions
    }

    /// A file, or the folder of a package, that a module imports.
    package struct Companion: Sendable, Hashable {
        package let file: URL
        /// Where a copy must lie to be imported, from the folder that holds the module.
        package let place: String
    }

    /// What was found in a module.
    public struct Description: Sendable, Hashable {
        /// Its tools.
        public let tools: [ToolSpecification]
        /// Which of `setup`, `state` and `grade` it defines.
        public let hooks: Set<String>
        /// Other files of the user's that it imports; told of modules on the host only.
        package let companions: [Companion]

        /// Reads what `functions.py` tells of a module.
        /// - Throws: `PythonError.badModule` with every fault.
        package init(_ reply: JSONValue, file: String) throws {
            func line(_ value: JSONValue) -> Int? {
                if case .integer(let line) = value["line"] { line } else { nil }
            }
            if let error = reply["error"] {
                let message = "the module cannot be imported: \(PythonModule.words(error))"
                throw PythonError.badModule(
                    file: file, faults: [ModuleFault(function: nil, line: line(error), message: message)])
            }
            let faults = (reply["faults"]?.array ?? []).map { fault in
                ModuleFault(
                    function: fault["function"]?.string, line: line(fault), message: fault["message"]?.string ?? "")
            }
            guard faults.isEmpty else { throw PythonError.badModule(file: file, faults: faults) }
            tools = (reply["tools"]?.array ?? []).map(ToolSpecification.init(described:))
            hooks = Set((reply["hooks"]?.array ?? []).compactMap(\.string))
            companions = (reply["companions"]?.array ?? []).compactMap { pair in
                guard let parts = pair.array, parts.count == 2, let file = parts[0].string, let place = parts[1].string
                else { return nil }
                return Companion(file: URL(fileURLWithPath: file), place: place)
            }
        }
    }

    /// The folder of the worker's own scripts, `functions.py` and `values.py` among them.
    package static var scripts: URL? { Bundle.module.url(forResource: "worker", withExtension: nil) }

    private var folder: String { file.deletingLastPathComponent().path }

    /// All that sessions may read because of it.
    var readable: [String] { [file.path] + files.map(\.path) }

    /// Where a path of the module's folder is found by the sessions.
    static func inside(_ path: String, isolated: Bool) -> String { isolated ? "/domain\(path)" : path }

    /// Asks a session's process to import it.
    func load(into process: PythonProcess, isolated: Bool) async throws -> Description {
        var frame: [String: JSONValue] = [
            "op": "module", "path": .string(Self.inside(file.path, isolated: isolated)),
            "root": .string(Self.inside(folder, isolated: isolated)),
        ]
        if let functions { frame["functions"] = .array(functions.map(JSONValue.string)) }
        let reply = try await process.ask(.object(frame), seconds: Self.loadSeconds)
        guard let reply, reply["op"] == "module" else {
            throw failed(
                "the module ended its interpreter, or was not imported within \(Int(Self.loadSeconds)) seconds")
        }
        return try Description(reply, file: file.path)
    }

    /// Calls a function of the module that is no tool.
    func call(
        _ hook: String, _ arguments: [JSONValue], in process: PythonProcess, isolated: Bool, seconds: Double
    ) async throws -> JSONValue {
        let reply = try await process.ask(
            [
                "op": "hook", "path": .string(Self.inside(file.path, isolated: isolated)), "name": .string(hook),
                "arguments": .array(arguments),
            ], seconds: seconds)
        guard let reply, reply["op"] == "hook" else {
            throw PythonError.hookFailed(
                file: file.path, hook: hook,
                reason: "it ended its interpreter, or gave no result within \(Int(seconds)) seconds")
        }
        if let error = reply["error"] {
            let line = if case .integer(let line) = error["line"] { " (line \(line))" } else { "" }
            throw PythonError.hookFailed(file: file.path, hook: hook, reason: Self.words(error) + line)
        }
        return reply["value"] ?? .null
    }

    private static let loadSeconds = 120.0

    private func failed(_ message: String) -> PythonError {
        .badModule(file: file.path, faults: [ModuleFault(function: nil, line: nil, message: message)])
    }

    fileprivate static func words(_ error: JSONValue) -> String {
        "\(error["type"]?.string ?? "Error"): \(error["message"]?.string ?? "")"
    }
}

/// The modules of an interpreter's sessions.
struct SessionModules: Sendable {
    let modules: [PythonModule]
    let isolated: Bool

    /// Imports all of them.
    /// - Throws: `PythonError.badModule`; two tools of one name are a fault of the second.
    func load(into process: PythonProcess) async throws -> [PythonModule.Description] {
        var known: [String: URL] = [:]
        var descriptions: [PythonModule.Description] = []
        for module in modules {
            let description = try await module.load(into: process, isolated: isolated)
            for tool in description.tools {
                if let other = known.updateValue(module.file, forKey: tool.name) {
                    throw PythonError.badModule(
                        file: module.file.path,
                        faults: [
                            ModuleFault(
                                function: tool.name, line: nil,
                                message: "\(other.lastPathComponent) has a tool of that name, too; rename one of them")
                        ])
                }
            }
            descriptions.append(description)
        }
        return descriptions
    }

    /// Imports all of them, and makes a task's state.
    /// - Parameter task: as `setup` takes it.
    func begin(_ task: JSONValue, in process: PythonProcess) async throws {
        for (module, description) in zip(modules, try await load(into: process))
        where description.hooks.contains("setup") {
            _ = try await module.call("setup", [task], in: process, isolated: isolated, seconds: Self.setupSeconds)
        }
    }

    /// The state that is left, by the last module that tells one; nil where none does.
    func state(of process: PythonProcess, _ descriptions: [PythonModule.Description]) async throws -> JSONValue? {
        for (module, description) in zip(modules, descriptions).reversed() where description.hooks.contains("state") {
            return try await module.call("state", [], in: process, isolated: isolated, seconds: Self.setupSeconds)
        }
        return nil
    }

    private static let setupSeconds = 120.0
}

/// Modules, and what was found in them.
struct LoadedModules: Sendable {
    let modules: SessionModules
    let descriptions: [PythonModule.Description]

    var tools: [ToolSpecification] { descriptions.flatMap(\.tools) }
    var tellsState: Bool { descriptions.contains { $0.hooks.contains("state") } }
}

extension ToolSpecification {
    /// As the worker describes a function.
    fileprivate init(described tool: JSONValue) {
        self.init(
            name: tool["name"]?.string ?? "", summary: tool["summary"]?.string ?? "",
            parameters: (tool["parameters"]?.array ?? []).map { parameter in
                Parameter(
                    parameter["name"]?.string ?? "", type: parameter["type"]?.string ?? "any",
                    summary: parameter["summary"]?.string ?? "", isRequired: parameter["required"] != .bool(false),
                    schema: parameter["schema"])
            }, returns: tool["returns"]?.string ?? "any")
    }
}
