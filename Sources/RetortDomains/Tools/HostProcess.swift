import Foundation
import RetortCore
import RetortMCP
import RetortPython
import Synchronization

/// A user's Python file in a process of its own, with the user's environment and rights.
///
/// One call is made at a time. A process that hangs in a call is ended at its time limit; one that has died is started
/// again for the next call, and the task's state is made anew. `host.py` is the other side.
actor HostProcess: RunningTools {
    private let file: String
    private let command: MCPCommand
    private let options: MCPOptions
    /// The task's record, given to `setup`; nil where it is not called.
    private let task: JSONValue?
    private var client: MCPClient?
    /// Whether the running process has made the task's state.
    private var isSetUp = false
    private var isClosed = false
    /// How many processes in a row did not answer a call.
    private var losses = 0
    private let turn = ConcurrencyLimit(width: 1)
    private static let mostLosses = 4

    /// - Parameter task: its record, given to `setup` before the first call; nil where it is not called.
    init(_ file: String, _ command: MCPCommand, _ options: MCPOptions, task: JSONValue? = nil) {
        (self.file, self.command, self.options, self.task) = (file, command, options, task)
    }

    deinit {
        guard let client else { return }
        Task { await client.close() }
    }

    /// What the module holds.
    /// - Throws: `PythonError.badModule` with every fault; `ToolServiceError`.
    func describe() async throws -> PythonModule.Description {
        let reply = try await turn.pass { try await self.ask("$describe", [:], shown: self.name) }
        return try PythonModule.Description(reply, file: file)
    }

    /// Makes the task's state, where there is a `setup`.
    func begin() async throws {
        try await turn.pass { try await self.prepare() }
    }

    /// A call cancelled before its turn is not made; one that has begun runs to its end, or its limit, before the next
    /// one.
    func call(_ tool: String, _ arguments: [String: JSONValue]) async throws -> JSONValue {
        let isLeft = Left()
        let (turn, isWaiting) = (turn, { @Sendable in !isLeft.value.load(ordering: .relaxed) })
        let work = Task {
            try await turn.pass {
                guard isWaiting() else { throw CancellationError() }
                try await self.prepare()
                return try await self.ask(tool, .object(arguments), shown: tool)
            }
        }
        return try await withTaskCancellationHandler {
            let value = try await withDeadline(seconds: Self.longest, grace: 0) { try await work.value }
            guard let value else { throw ToolServiceError.failed(tool: tool, reason: "it waited for a day") }
            return value
        } onCancel: {
            isLeft.value.store(true, ordering: .relaxed)
        }
    }

    private final class Left: Sendable { let value = Atomic(false) }

    /// The longest wait: callers wait for those before them, each of which has a limit.
    private static let longest = 86_400.0

    func close() async {
        isClosed = true
        let ended = client
        client = nil
        await ended?.close()
    }

    private nonisolated var name: String { URL(fileURLWithPath: file).lastPathComponent }

    private func prepare() async throws {
        guard let task, !isSetUp else { return }
        do {
            _ = try await ask("$setup", [task], shown: "setup")
            isSetUp = true
        } catch ToolServiceError.failed(_, let reason) {
            throw ToolServiceError.hookFailed(file: file, hook: "setup", reason: reason)
        }
    }

    private func opened() throws -> MCPClient {
        guard !isClosed else { throw ToolServiceError.unavailable(service: name, reason: "it was closed") }
        guard losses < Self.mostLosses else {
            throw ToolServiceError.unavailable(
                service: name, reason: "\(losses) processes in a row ended or hung in their first call")
        }
        if let client { return client }
        let new = MCPClient(name, .command(command), options: options)
        client = new
        return new
    }

    /// Sends the process a request.
    /// - Throws: `ToolServiceError`.
    private func ask(_ what: String, _ arguments: JSONValue, shown: String) async throws -> JSONValue {
        let client = try opened()
        let result: MCPResult
        do {
            result = try await client.call(what, ["json": .string(ExactJSON.text(arguments))])
        } catch let error as MCPError {
            throw await lost(client, error, shown)
        }
        losses = 0
        guard !result.isError else { throw ToolServiceError.failed(tool: shown, reason: result.text) }
        guard let text = result.structured?["json"]?.string, let value = try? ExactJSON.value(of: text) else {
            throw ToolServiceError.failed(tool: shown, reason: "its process gave no result that can be read")
        }
        return value
    }

    /// Discards a process that did not answer, with everything that it held.
    private func lost(_ client: MCPClient, _ error: MCPError, _ tool: String) async -> ToolServiceError {
        losses += 1
        if self.client === client { (self.client, isSetUp) = (nil, false) }
        await client.close()
        let anew = "; the next call starts a new one\(task == nil ? "" : ", with the task's state made anew")"
        switch error {
        case .ended(_, let how, let errors):
            let words = errors.isEmpty ? "" : "; it wrote: \(errors)"
            return .failed(tool: tool, reason: "the process of \(name) ended (\(how)) in it\(words)\(anew)")
        case .late(_, _, let seconds, _):
            return .failed(
                tool: tool, reason: "no result within \(seconds) seconds; the process of \(name) was ended\(anew)")
        case .tooLong(_, let limit):
            return .failed(tool: tool, reason: "its result has more than \(limit) bytes\(anew)")
        case .cannotStart(_, let reason): return .unavailable(service: name, reason: reason)
        case .closed: return .unavailable(service: name, reason: "it was closed")
        default: return .failed(tool: tool, reason: "\(error)\(anew)")
        }
    }
}

extension DomainPlan {
    /// Opens a Python file whose functions run on the host.
    /// - Throws: `DomainError`, `PythonError.badModule`, `ToolServiceError`.
    func hostService(_ tools: PythonTools) async throws -> (ToolService, (any RunningTools)?) {
        let path = url(tools.file)
        guard FileManager.default.fileExists(atPath: path.path) else {
            throw DomainError.noFile(what: "tools", path: path.path)
        }
        _ = try files(of: tools)
        guard let scripts = PythonModule.scripts,
            let host = Bundle.module.url(forResource: "host", withExtension: nil)?.appendingPathComponent("host.py")
        else { throw DomainError.cannotStart(tools.file, reason: "host.py is missing from the program") }
        let python = tools.interpreter.map { $0.contains("/") ? url($0).path : $0 } ?? "python3"
        let command = MCPCommand(
            python, ["-u", host.path, scripts.path, path.path], environment: ProcessInfo.processInfo.environment,
            folder: path.deletingLastPathComponent().path)
        var options = MCPOptions()
        options.callSeconds = tools.seconds ?? PythonTools.usualSeconds
        options.longestCallSeconds = options.callSeconds
        // An import may take long, for example of a large library.
        var opening = options
        opening.callSeconds = max(options.callSeconds, PythonTools.usualSeconds)
        opening.longestCallSeconds = opening.callSeconds
        let first = HostProcess(path.path, command, opening)
        let found: PythonModule.Description
        do {
            found = try await first.describe()
            try check(found, of: tools, path.path)
        } catch {
            await first.close()
            throw error
        }
        await first.close()
        let chosen = found.tools.filter { tools.functions?.contains($0.name) ?? true }.map { tool in
            var tool = tool
            tool.effect = tools.effects[tool.name] ?? tools.effects["*"] ?? .external
            return tool
        }
        let hasSetup = found.hooks.contains("setup")
        let lifetime = tools.lifetime ?? .task
        let limits = options
        let start = { @Sendable (task: JSONValue?) async throws -> any RunningTools in
            let process = HostProcess(path.path, command, limits, task: hasSetup ? task : nil)
            do {
                try await process.begin()
            } catch {
                await process.close()
                throw error
            }
            return process
        }
        let service = ToolService(
            name: tools.file, lifetime: lifetime, specifications: chosen, hasSetup: hasSetup,
            remark: "\(python), \(lifetime.words), \(chosen.count) tools", companions: found.companions, start: start)
        return (service, lifetime == .run ? try await start(nil) : nil)
    }

    /// Reports what a file on the host may not contain, or lacks.
    private func check(_ found: PythonModule.Description, of tools: PythonTools, _ path: String) throws {
        let names = found.tools.map(\.name)
        let unknown = ((tools.functions ?? []) + tools.effects.keys.sorted().filter { $0 != "*" }).filter {
            !names.contains($0)
        }
        var faults = unknown.map {
            ModuleFault(function: $0, line: nil, message: "the module has no public function '\($0)'")
        }
        for hook in ["state", "grade"] where found.hooks.contains(hook) {
            faults.append(
                ModuleFault(
                    function: hook, line: nil,
                    message: "it is called in the session only; put it into a 'python' file without 'place: host'"))
        }
        if found.hooks.contains("setup"), tools.lifetime == .run {
            faults.append(
                ModuleFault(
                    function: "setup", line: nil,
                    message: "it makes one task's state, and 'lifetime: run' has one process for all tasks"))
        }
        guard faults.isEmpty else { throw PythonError.badModule(file: path, faults: faults) }
    }
}
