import Foundation
import RetortCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What a run spent on models behind endpoints, a line for each reply. Replies that came to nothing are paid as well: tries
/// that failed, sets that were removed, trajectories in flight when the run was killed.
final class SpendingLedger: Sendable {
    private struct Line: Codable {
        /// What it was spent for: `teacher` or `judge`.
        var account: String
        var prompt: Int
        var completion: Int
    }

    private let path: String
    private let descriptor: Int32
    private let lines: Mutex<[String: Usage]>

    /// Opens a ledger, or makes one. A last line that a kill cut off is left out.
    /// - Throws: `RunError.cannotWrite`.
    init(_ file: URL) throws {
        path = file.path
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        var spent: [String: Usage] = [:]
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            guard let line = try? JSONCoding.decoder.decode(Line.self, from: Data(line)) else { continue }
            spent[line.account, default: Usage()] =
                spent[line.account, default: Usage()]
                + Usage(promptTokens: line.prompt, completionTokens: line.completion)
        }
        lines = Mutex(spent)
        descriptor = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw RunError.cannotWrite(path, String(cString: strerror(errno))) }
        // What follows a line that was cut off begins on a line of its own.
        if !text.isEmpty, !text.hasSuffix("\n") { try write("\n") }
    }

    deinit { close(descriptor) }

    /// All that was spent for something.
    func spent(for account: String) -> Usage { lines.withLock { $0[account] ?? Usage() } }

    /// Notes what a reply took.
    /// - Throws: `RunError.cannotWrite`: a budget that cannot be kept ends the run.
    func add(_ usage: Usage, for account: String) throws {
        guard usage.promptTokens > 0 || usage.completionTokens > 0 else { return }
        lines.withLock { $0[account] = ($0[account] ?? Usage()) + usage }
        let line = Line(account: account, prompt: usage.promptTokens, completion: usage.completionTokens)
        try write(String(decoding: try JSONCoding.encoder.encode(line), as: UTF8.self) + "\n")
    }

    private func write(_ text: String) throws {
        let bytes = Array(text.utf8)
        // One write to a file opened for appending is not mixed with another.
        let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
        guard count == bytes.count else { throw RunError.cannotWrite(path, String(cString: strerror(errno))) }
    }
}
