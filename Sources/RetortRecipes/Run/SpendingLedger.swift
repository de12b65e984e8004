import Foundation
import RetortCore
import Synchronization

/// A run's spending on models behind endpoints, one line per reply. Replies without a result also cost: failed tries,
/// removed sets, and trajectories in progress when the run was killed.
final class SpendingLedger: Sendable {
    private struct Line: Codable {
        /// The purpose: `teacher` or `judge`.
        var account: String
        var prompt: Int
        var completion: Int
    }

    private let file: AppendedLines
    private let lines: Mutex<[String: Usage]>

    /// Opens a ledger, or creates one. A last line that was cut off is ignored.
    /// - Throws: `RunError.cannotWrite`.
    init(_ file: URL) throws {
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        var spent: [String: Usage] = [:]
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            guard let line = try? JSONCoding.decoder.decode(Line.self, from: Data(line)) else { continue }
            spent[line.account, default: Usage()] =
                spent[line.account, default: Usage()]
                + Usage(promptTokens: line.prompt, completionTokens: line.completion)
        }
        lines = Mutex(spent)
        self.file = try AppendedLines(file)
    }

    /// Everything spent for a purpose.
    func spent(for account: String) -> Usage { lines.withLock { $0[account] ?? Usage() } }

    /// Records the cost of a reply.
    /// - Throws: `RunError.cannotWrite`: a budget that cannot be tracked ends the run.
    func add(_ usage: Usage, for account: String) throws {
        guard usage.promptTokens > 0 || usage.completionTokens > 0 else { return }
        lines.withLock { $0[account] = ($0[account] ?? Usage()) + usage }
        let line = Line(account: account, prompt: usage.promptTokens, completion: usage.completionTokens)
        try file.append(JSONCoding.encoder.encode(line))
    }
}
