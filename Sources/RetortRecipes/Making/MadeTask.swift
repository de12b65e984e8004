import Foundation
import RetortCore

/// A question that a teacher made, and its outcome.
package struct MadeTask: Codable, Sendable {
    /// The outcome of a question.
    package enum Outcome: String, Codable, Sendable, CaseIterable {
        /// It became a task.
        case kept
        /// The model or the environment broke while the question was made.
        case failed = "the run failed"
        /// No question with an answer could be read.
        case unread = "no question with an answer"
        /// Its form is unsuitable.
        case unfit = "too short, too long, or it holds its answer"
        /// It equals or resembles a test question.
        case tested = "a test question, or nearly one"
        /// It equals or resembles an earlier question.
        case repeated = "asked before, or nearly so"
        /// Too few solutions agreed with its answer.
        case disagreed = "solved anew, it came to other answers"
        /// No agreeing solution looked up or computed its answer.
        case unseen = "an answer that nothing showed"
    }

    /// The number of the try, from 0.
    var number: Int
    var question = ""
    var answer = ""
    var outcome = Outcome.unread
    /// The last text where no question could be read; nil otherwise.
    var said: String?
    /// The solutions that agree with the answer.
    var solutions: [Trajectory] = []
    /// The cost of asking and solving.
    var usage: Usage

    init(number: Int, usage: Usage) {
        self.number = number
        self.usage = usage
    }

    var id: String { "made-\(number)" }

    /// As a line of a file of tasks.
    var record: [String: String] { ["id": id, "question": question, "answer": answer] }
}

/// The tries so far, one per line, after a line that identifies the settings.
final class MakingLog {
    private struct Header: Codable {
        var settings: String
    }

    private let lines: AppendedLines
    private(set) var made: [MadeTask] = []
    var kept: [MadeTask] { made.filter { $0.outcome == .kept } }

    /// Opens a log, or creates one. A last line that was cut off is tried again.
    /// - Throws: `TaskMakerError`, `RunError.cannotWrite`.
    init(_ file: URL, header: String) throws {
        let data = FileManager.default.fileExists(atPath: file.path) ? try Data(contentsOf: file) : Data()
        let rows = data.split(separator: 0x0A)
        if let first = rows.first {
            guard let found = try? JSONCoding.decoder.decode(Header.self, from: Data(first)), found.settings == header
            else {
                throw TaskMakerError.otherSettings(log: file.path)
            }
        }
        for (number, row) in rows.enumerated().dropFirst() {
            if let one = try? ExactJSON.decode(MadeTask.self, from: row) {
                made.append(one)
            } else if number < rows.count - 1 || data.last == 0x0A {
                throw TaskMakerError.damagedLog(file.path, line: number + 1)
            }
        }
        if data.last != 0x0A, !rows.isEmpty {
            // The part that was cut off is removed for good.
            let whole = Data(rows.prefix(made.count + 1).joined(separator: [0x0A])) + Data([0x0A])
            try AtomicFile.write(whole, to: file)
        }
        lines = try AppendedLines(file)
        if rows.isEmpty { try lines.append(JSONCoding.encoder.encode(Header(settings: header))) }
    }

    func append(_ one: MadeTask) throws {
        try lines.append(ExactJSON.encode(one))
        made.append(one)
    }

    /// Writes the first tasks that were kept, and their solutions.
    func write(tasks: Int, to file: URL, trajectories: URL?) throws {
        let kept = kept.prefix(tasks)
        try JSONLines.write(kept.map(\.record), to: file)
        if let trajectories { try JSONLines.write(kept.flatMap(\.solutions), to: trajectories) }
    }
}
