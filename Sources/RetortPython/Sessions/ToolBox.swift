import Foundation
import RetortCore

/// The tools of a session, with the results of pure ones kept: candidates that ask the same share one call, made once.
final class ToolBox: Sendable {
    /// Calls allowed in one program.
    let limit: Int
    private let tools: [String: any Tool]
    private let results = PureResults()

    init(_ tools: [any Tool], limit: Int) {
        self.limit = limit
        self.tools = Dictionary(tools.map { ($0.specification.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// What the worker makes functions of.
    var frame: JSONValue {
        .array(tools.values.map(\.specification).sorted { $0.name < $1.name }.map(\.frame))
    }

    /// Whether a call must wait until its candidate has won.
    func isExternal(_ name: String) -> Bool { tools[name]?.specification.effect == .external }

    /// Makes a call; what fails is in the record.
    func answer(_ name: String, _ arguments: [String: JSONValue]) async -> ToolCall {
        var call = ToolCall(name: name, arguments: arguments)
        do {
            guard let tool = tools[name] else { throw ToolError.unknownTool(name, known: Array(tools.keys)) }
            let checked = try tool.specification.validated(arguments)
            switch tool.specification.effect {
            case .external: call.result = try await tool.call(checked)
            case .pure:
                let key = try name + String(decoding: JSONCoding.encoder.encode(checked), as: UTF8.self)
                call.result = try await results.result(for: key) { try await tool.call(checked) }
            }
        } catch {
            call.error = "\(error)"
        }
        return call
    }
}

/// Results by call, each computed once however many ask at the same time. Failures are not kept.
private actor PureResults {
    private var results: [String: Task<JSONValue, any Error>] = [:]
    private static let limit = 4096

    func result(for key: String, _ compute: @escaping @Sendable () async throws -> JSONValue) async throws -> JSONValue
    {
        let isNew = results[key] == nil
        if isNew, results.count >= Self.limit { results.removeAll() }
        let task = results[key] ?? Task { try await compute() }
        results[key] = task
        do {
            return try await task.value
        } catch {
            results[key] = nil
            throw error
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
