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
        try JSONLinesFile(file).forEach(Line.self) { line, number in
            let task = AgentTask(
                id: "\(source)-\(line.idx)", question: line.question, answers: [line.gt.text], family: .math,
                split: split, metadata: line.gt_cot.map { ["rationale": .string($0)] } ?? [:])
            for (attempt, text) in (line.code.isEmpty ? [""] : line.code).enumerated() {
                let predictions = line.pred ?? []
                records.append(
                    ToRARecord(
                        line: number, task: task, attempt: attempt, text: text,
                        prediction: attempt < predictions.count ? predictions[attempt] : nil))
            }
        }
        return records
    }
}
