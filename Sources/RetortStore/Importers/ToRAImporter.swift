import Foundation
import RetortCore

/// Reads the trajectories that ToRA (arXiv 2309.17452) publishes: prose, Python programs and their outputs in turn, as
/// fenced blocks, and a last text with the boxed answer.
///
/// ```swift
/// let trajectories = try ToRAImporter.read(file)                       // to learn from, to grade
/// let programs = try ToRAImporter().records(in: file).map(\.programs)    // to run again
/// ```
public struct ToRAImporter: Sendable {
    /// A line of the file.
    private struct Line: Decodable {
        let idx: Int
        let question: String
        let gt: JSONValue
        let gt_cot: String?
        let code: [String]
        let pred: [String?]?
    }

    private let source: String
    private let split: String

    /// - Parameters:
    ///   - source: begins the tasks' ids, such as `gsm8k-test-17`.
    ///   - split: the name of the tasks' split.
    public init(source: String = "gsm8k-test", split: String = "test") {
        self.source = source
        self.split = split
    }

    /// The trajectories of ToRA's answers to GSM8K's test questions.
    /// - Throws: `JSONLinesError`, which names the line.
    public static func read(_ file: URL) throws -> [Trajectory] { try ToRAImporter().trajectories(from: file) }

    /// One trajectory for each record and sample, in file order; none is left out (see `ToRARecord.trajectory`).
    /// - Throws: `JSONLinesError`, which names the line.
    public func trajectories(from file: URL) throws -> [Trajectory] { try records(in: file).map(\.trajectory) }

    /// One record for each line and sample, in file order. A line without samples gives one record with an empty text.
    /// - Throws: `JSONLinesError`, which names the line.
    public func records(in file: URL) throws -> [ToRARecord] {
        var records: [ToRARecord] = []
        try JSONLinesFile(file).forEach(Line.self) { line, number in records += samples(of: line, number) }
        return records
    }

    /// The trajectories of the file's records, and what happened to each record.
    /// - Throws: `JSONLinesError`, `JSONFileError` for a file that cannot be read at all.
    func read(_ file: URL) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        var trajectories: [Trajectory] = []
        var account = ImportAccount()
        try RecordFile(file).forEach { value, number in
            account.records += 1
            do {
                let line = try ExactJSON.decode(Line.self, from: value.get())
                trajectories += samples(of: line, number).map(\.trajectory)
            } catch let error as RecordRejection {
                account.reject(number, error.reason)
            } catch {
                account.reject(number, JSONLinesFile.reason(error))
            }
        }
        account.imported = trajectories.count
        return (trajectories, account)
    }

    private func samples(of line: Line, _ number: Int) -> [ToRARecord] {
        let task = AgentTask(
            id: "\(source)-\(line.idx)", question: line.question, answers: [line.gt.text], family: .math,
            split: split, metadata: line.gt_cot.map { ["rationale": .string($0)] } ?? [:])
        let predictions = line.pred ?? []
        return (line.code.isEmpty ? [""] : line.code).enumerated().map { attempt, text in
            ToRARecord(
                line: number, task: task, attempt: attempt, text: text,
                prediction: attempt < predictions.count ? predictions[attempt] : nil)
        }
    }
}
