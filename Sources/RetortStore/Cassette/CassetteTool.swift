import Foundation
import RetortCore
import Synchronization

/// A tool whose results go through a tape. Errors are results too: the agent has seen them.
///
/// A pure tool gives the same result each time. The calls of one with effects are told apart by their number among equal
/// ones, so agents that make equal calls at the same time may exchange results.
final class CassetteTool: Tool {
    private let inner: any Tool
    private let cassette: Cassette
    private let calls = Mutex<[String: Int]>([:])

    init(inner: any Tool, cassette: Cassette) {
        self.inner = inner
        self.cassette = cassette
    }

    var specification: ToolSpecification { inner.specification }

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        let name = specification.name
        let key = ExactJSON.text(["tool": .string(name), "arguments": .object(arguments)])
        let occurrence =
            specification.effect == .pure
            ? 0
            : calls.withLock { calls in
                calls[key, default: -1] += 1
                return calls[key, default: 0]
            }
        if let entry = try await cassette.entry(key, occurrence: occurrence) {
            guard !entry.isFailure else { throw CassetteError.recordedFailure(entry.text) }
            return try ExactJSON.value(of: entry.text)
        }
        guard cassette.mode == .record else {
            throw CassetteError.missing(
                file: cassette.path, speaker: "the tool \(name)", request: JSONValue.object(arguments).jsonText)
        }
        do {
            let result = try await inner.call(arguments)
            try await cassette.save(
                .init(text: ExactJSON.text(result), isFailure: false), to: key, of: name,
                occurrence: occurrence)
            return result
        } catch {
            if !(error is CancellationError), !Task.isCancelled, !(error is CassetteError) {
                try await cassette.save(
                    .init(text: "\(error)", isFailure: true), to: key, of: name, occurrence: occurrence)
            }
            throw error
        }
    }
}
