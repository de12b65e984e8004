import Foundation
import RetortCore
import Synchronization

/// What a run spent on models behind endpoints, a line for each reply. Replies that came to nothing are paid as well: tries
/// that failed, sets that were removed, trajectories in flight when the run was killed.
final class SpendingLedger: Sendable {
    private struct Line: Codable {
        /// What it was spent for: `teacher` or `judge`.
        var account: String
        var prompt: Int
        var completion: Int
    }

    private let file: AppendedLines
    private let lines: Mutex<[String: Usage]>

    /// Opens a ledger, or makes one. A last line that a kill cut off is left out.
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

    /// All that was spent for something.
    func spent(for account: String) -> Usage { lines.withLock { $0[account] ?? Usage() } }

    /// Notes what a reply took.
    /// - Throws: `RunError.cannotWrite`: a budget that cannot be kept ends the run.
    func add(_ usage: Usage, for account: String) throws {
        guard usage.promptTokens > 0 || usage.completionTokens > 0 else { return }
        lines.withLock { $0[account] = ($0[account] ?? Usage()) + usage }
        let line = Line(account: account, prompt: usage.promptTokens, completion: usage.completionTokens)
        try file.append(JSONCoding.encoder.encode(line))
    }
}
