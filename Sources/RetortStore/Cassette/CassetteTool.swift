import Foundation
import RetortCore
import Synchronization

/// A tool whose results go through a tape. Errors are results, too: the agent has seen them.
///
/// A pure tool gives the same result each time. A call of a tool with effects is made whenever it is requested, and
/// appended to the equal calls on the tape, including those of a killed run, because an effect must happen. In a
/// replay, equal calls get the results in that order, so agents that make equal calls at the same time may exchange
/// results.
final class CassetteTool: Tool {
    private let inner: any Tool
    private let cassette: Cassette
    private let calls = Mutex<[String: Int]>([:])

    init(inner: any Tool, cassette: Cassette) {
        self.inner = inner
        self.cassette = cassette
    }

    var specification: ToolSpecification { inner.specification }
    var keepsTime: Bool { inner.keepsTime }

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        let name = specification.name
        let key = ExactJSON.text(["tool": .string(name), "arguments": .object(arguments)])
        let isExternal = specification.effect == .external
        if isExternal, cassette.mode == .record { return try await perform(arguments, key, occurrence: nil) }
        let occurrence =
            isExternal
            ? calls.withLock { calls in
                calls[key, default: -1] += 1
                return calls[key, default: 0]
            } : 0
        if let entry = try await cassette.entry(key, occurrence: occurrence) {
            guard !entry.isFailure else { throw CassetteError.recordedFailure(entry.text) }
            return try ExactJSON.value(of: entry.text)
        }
        guard cassette.mode == .record else {
            throw CassetteError.missing(
                file: cassette.path, speaker: "the tool \(name)", request: JSONValue.object(arguments).jsonText)
        }
        return try await perform(arguments, key, occurrence: occurrence)
    }

    /// Makes the call and saves its result on the tape.
    /// - Parameter occurrence: its position among equal calls; nil after the last.
    private func perform(_ arguments: [String: JSONValue], _ key: String, occurrence: Int?) async throws -> JSONValue {
        let name = specification.name
        let result: JSONValue
        do {
            result = try await inner.call(arguments)
        } catch {
            // An error that halts or ended the run says nothing about the call.
            if !error.endsRun {
                try await cassette.save(
                    .init(text: "\(error)", isFailure: true), to: key, of: name, occurrence: occurrence)
            }
            throw error
        }
        try await cassette.save(
            .init(text: ExactJSON.text(result), isFailure: false), to: key, of: name, occurrence: occurrence)
        return result
    }
}
