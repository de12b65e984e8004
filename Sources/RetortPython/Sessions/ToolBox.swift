import Foundation
import RetortCore

/// The tools of a session. Results of pure tools are kept, so candidates that make the same call share one result.
final class ToolBox: Sendable {
    /// The most calls in one program.
    let limit: Int
    private let seconds: Double
    private let tools: [String: any Tool]
    private let results: PureResults

    /// - Parameter seconds: the longest a call may take.
    init(_ tools: [any Tool], limit: Int, seconds: Double = 120) {
        self.limit = limit
        self.seconds = seconds
        self.tools = Dictionary(tools.map { ($0.specification.name, $0) }, uniquingKeysWith: { first, _ in first })
        results = PureResults(seconds: seconds)
    }

    /// The description from which the worker makes functions.
    var frame: JSONValue {
        .array(tools.values.map(\.specification).sorted { $0.name < $1.name }.map(\.frame))
    }

    /// The specification that a call must fit: that of a host tool, or of one of the session's own.
    /// - Throws: `ToolError.unknownTool`.
    func specification(_ name: String, _ own: [ToolSpecification]) throws -> ToolSpecification {
        if let found = tools[name]?.specification ?? own.first(where: { $0.name == name }) { return found }
        throw ToolError.unknownTool(name, known: tools.keys + own.map(\.name))
    }

    /// Whether a call must wait until its candidate has been chosen.
    func isExternal(_ name: String) -> Bool { tools[name]?.specification.effect == .external }

    /// Makes a call; a failure is part of the record.
    /// - Throws: errors that end the run, such as a call missing from a tape or a spent budget; `CancellationError`.
    func answer(_ name: String, _ arguments: [String: JSONValue]) async throws -> ToolCall {
        var call = ToolCall(name: name, arguments: arguments)
        do {
            guard let tool = tools[name] else { throw ToolError.unknownTool(name, known: Array(tools.keys)) }
            let checked = try tool.specification.validated(arguments)
            switch tool.specification.effect {
            case .external: call.result = try await tool.call(checked, seconds: seconds)
            case .pure: call.result = try await results.result(of: tool, checked)
            }
        } catch {
            if error.endsRun { throw error }
            call.error = "\(error)"
        }
        return call
    }
}

/// Results by call. Each is computed once, however many callers ask at the same time. Failures are not kept.
private actor PureResults {
    /// A running call, or its result.
    private struct Entry {
        let task: Task<JSONValue, any Error>
        var waiting = 0
        var bytes = 0
    }

    private var entries: [String: Entry] = [:]
    private var bytes = 0
    private let seconds: Double
    private static let mostResults = 4096
    private static let mostBytes = 64 << 20
    /// The limit for tools that enforce their own time limit, in seconds.
    private static let longest = 86_400.0

    init(seconds: Double) { self.seconds = seconds }

    func result(of tool: any Tool, _ arguments: [String: JSONValue]) async throws -> JSONValue {
        let key = "\(tool.specification.name) \(ExactJSON.text(.object(arguments)))"
        let task = entries[key]?.task ?? Task { [seconds] in try await tool.call(arguments, seconds: seconds) }
        entries[key, default: Entry(task: task)].waiting += 1
        let result: Result<JSONValue, any Error>
        do {
            // The call goes on when a candidate stops waiting for it, but not when the last one does.
            let limit = tool.keepsTime ? Self.longest : seconds + 5
            guard let value = try await withDeadline(seconds: limit, grace: 0, { try await task.value }) else {
                throw ToolError.late(tool: tool.specification.name, seconds: seconds)
            }
            result = .success(value)
        } catch {
            result = .failure(error)
        }
        leave(key, task, result)
        return try result.get()
    }

    private func leave(_ key: String, _ task: Task<JSONValue, any Error>, _ result: Result<JSONValue, any Error>) {
        guard var entry = entries[key], entry.task == task else { return }
        entry.waiting -= 1
        switch result {
        case .success(let value):
            if entry.bytes == 0 {
                entry.bytes = key.utf8.count + ExactJSON.text(value).utf8.count
                bytes += entry.bytes
            }
            entries[key] = entry
        case .failure:
            entries[key] = entry.waiting > 0 ? entry : nil
            if entry.waiting == 0 { task.cancel() }
        }
        if entries.count > Self.mostResults || bytes > Self.mostBytes {
            entries = entries.filter { $0.value.waiting > 0 }
            bytes = entries.values.reduce(0) { $0 + $1.bytes }
        }
    }
}

extension ToolSpecification {
    fileprivate var frame: JSONValue {
        [
            "name": .string(name), "summary": .string(summary), "returns": .string(returns),
            "parameters": .array(
                parameters.map {
                    [
                        "name": .string($0.name), "type": .string($0.type), "summary": .string($0.summary),
                        "required": .bool($0.isRequired),
                    ]
                }),
        ]
    }
}
