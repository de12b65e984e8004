import Foundation
import RetortCore

/// A user's Python file whose functions become tools inside the session: their state belongs to the session, and
/// forks with it.
///
/// The file may also define the hooks `setup(task)`, `state()` and `grade(task, answer, state)`, which are not tools.
public struct PythonModule: Sendable, Hashable {
    /// The Python file.
    public var file: URL
    /// Files and folders that the module may read; all must be beside it or below its folder.
    public var files: [URL]
    /// The functions that become tools; nil takes all public ones.
    public var functions: [String]?

    /// - Parameter functions: the functions that become tools; nil takes all public ones.
    public init(_ file: URL, files: [URL] = [], functions: [String]? = nil) {
        self.file = file.standardizedFileURL
        self.files = files.map(\.standardizedFileURL)
        self.functions = functions
    }

    /// A file, or the folder of a package, that a module imports.
    package struct Companion: Sendable, Hashable {
        package let file: URL
        /// The path at which a copy can be imported, relative to the folder of the module.
        package let place: String
    }

    /// What a module contains.
    public struct Description: Sendable, Hashable {
        /// The module's tools.
        public let tools: [ToolSpecification]
        /// Which of the hooks `setup`, `state` and `grade` the module defines.
        public let hooks: Set<String>
        /// Other user files that the module imports; only reported for modules on the host.
        package let companions: [Companion]

        /// Reads the description of a module that `functions.py` wrote.
        /// - Throws: `PythonError.badModule` with every fault.
        package init(_ reply: JSONValue, file: String) throws {
            func line(_ value: JSONValue) -> Int? {
                if case .integer(let line) = value["line"] { line } else { nil }
            }
            if let error = reply["error"] {
                let message =
                    "the module cannot be imported: \(PythonModule.words(error))" + Self.advice(error, file: file)
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

        /// What to do where a module imports one that stands beside it and that the session is not shown.
        private static func advice(_ error: JSONValue, file: String) -> String {
            guard error["type"] == "ModuleNotFoundError",
                let name = error["message"]?.string?.firstMatch(of: /No module named '(\w+)/)?.output.1
            else { return "" }
            let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
            for other in ["\(name).py", "\(name)"]
            where FileManager.default.fileExists(atPath: folder.appendingPathComponent(other).path) {
                return "; \(other) stands beside it: name it under 'files' of the tool, so that sessions can read it"
            }
            return ""
        }
    }

    /// The folder of the worker's own scripts, including `functions.py` and `values.py`.
    package static var scripts: URL? { Bundle.module.url(forResource: "worker", withExtension: nil) }

    private var folder: String { file.deletingLastPathComponent().path }

    /// All paths that sessions may read because of the module.
    var readable: [String] { [file.path] + files.map(\.path) }

    /// The path at which sessions find a path of the module's folder.
    static func inside(_ path: String, isolated: Bool) -> String { isolated ? "/domain\(path)" : path }

    /// Asks a session's process to import the module.
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

    /// Calls a hook of the module.
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

    /// Imports all modules.
    /// - Throws: `PythonError.badModule`; if two tools have the same name, the second is at fault.
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

    /// Imports all modules, and sets up a task's state.
    /// - Parameter task: the argument of `setup`.
    func begin(_ task: JSONValue, in process: PythonProcess) async throws {
        for (module, description) in zip(modules, try await load(into: process))
        where description.hooks.contains("setup") {
            _ = try await module.call("setup", [task], in: process, isolated: isolated, seconds: Self.setupSeconds)
        }
    }

    /// The state as the last module with a `state` hook reports it; nil when there is none.
    func state(of process: PythonProcess, _ descriptions: [PythonModule.Description]) async throws -> JSONValue? {
        for (module, description) in zip(modules, descriptions).reversed() where description.hooks.contains("state") {
            return try await module.call("state", [], in: process, isolated: isolated, seconds: Self.setupSeconds)
        }
        return nil
    }

    private static let setupSeconds = 120.0
}

/// Modules with their descriptions.
struct LoadedModules: Sendable {
    let modules: SessionModules
    let descriptions: [PythonModule.Description]

    var tools: [ToolSpecification] { descriptions.flatMap(\.tools) }
    var tellsState: Bool { descriptions.contains { $0.hooks.contains("state") } }
}

extension ToolSpecification {
    /// Reads the worker's description of a function.
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
