import Foundation
import RetortCore

/// The figures of an evaluation: one cell for each system, size, family and split.
public struct EvaluationSummary: Codable, Sendable, Hashable {
    /// One system on one kind of task. Accuracies and rates are percentages, 0 to 100.
    public struct Cell: Codable, Sendable, Hashable {
        /// Such as `cot` or `agent+sag`; docs/benchmarks.md lists them.
        public var system: String
        /// The student's name; nil in summaries without names.
        public var student: String?
        /// The number of the student's weights.
        public var parameters: Int
        /// The kind of task.
        public var family: AgentTask.Family
        /// `in` or `out` of the training domain, or a benchmark's name.
        public var split: String
        /// The percentage of tasks solved.
        public var accuracy: Double
        /// The lower end of its 95 % interval (Wilson).
        public var low: Double
        /// The upper end.
        public var high: Double
        /// The number of tasks.
        public var n: Int
        /// The percentage of programs that failed.
        public var codeErrorRate: Double
        /// The percentage of turns in which no action could be read.
        public var parseErrorRate: Double
        /// Mean tool calls for each task.
        public var toolCalls: Double
        /// Mean tokens read for each task.
        public var promptTokens: Double
        /// Mean tokens written for each task.
        public var completionTokens: Double
        /// Mean wall-clock seconds for each task, in the model and the environment.
        public var seconds: Double
        /// The number of tasks by `RunRecord.Cause`.
        public var causes: [String: Int]
        /// For factual tasks: the mean word overlap with the reference, in percent.
        public var f1: Double?
        /// The lower end of its 95 % interval (bootstrap).
        public var f1Low: Double?
        /// The upper end.
        public var f1High: Double?
        /// Mean steps for each task.
        public var steps: Double?
        /// Tokens read and written in all runs, for each task that was solved; nil when none was.
        public var tokensPerCorrect: Double?
        /// Seconds of all runs, for each task that was solved; nil when none was.
        public var secondsPerCorrect: Double?
        /// The percentage of programs that ran out of time.
        public var timeoutRate: Double?
        /// The percentage of tool calls that failed.
        public var toolErrorRate: Double?
        /// Accuracy by level, type and subject, where tasks have them.
        public var breakdowns: [Breakdown]?
    }

    /// The cells in the order of evaluation.
    public var cells: [Cell]
    /// Each student's systems compared with its first one, on the same tasks.
    public var comparisons: [PairedComparison]?

    /// How a judge rated each system's factual answers; nil when none was asked.
    public var judged: [JudgedSystem]?
    /// Each system's mean over the kinds of task.
    public var averages: [SystemAverage]?
    /// The results of graders that do not decide; nil where there are none.
    public var also: [OtherGrades]?
    /// The stages in which something failed; nil when nothing did.
    public var partial: [PartialStage]?
    /// The precision of the weights of models that ran in this process; nil in older summaries.
    public var models: [ModelPrecision]?

    /// A summary of cells, without comparisons and averages.
    public init(cells: [Cell] = []) { self.cells = cells }

    /// Compares a student's other systems with its first one.
    public mutating func compare(_ student: String, _ systems: [(name: String, records: [RunRecord])]) {
        guard let first = systems.first else { return }
        comparisons =
            (comparisons ?? [])
            + systems.dropFirst().map { other in
                PairedComparison("\(student) \(first.name)", first.records, "\(student) \(other.name)", other.records)
            }
    }

    /// Adds a system's cells, one for each family and split among its records.
    public mutating func add(
        _ system: String, student: String? = nil, parameters: Int, _ records: [RunRecord]
    ) {
        for split in ["in", "out"] + Set(records.map(\.task.split)).subtracting(["in", "out"]).sorted() {
            for family in Set(records.map(\.task.family)).sorted(by: { $0.rawValue < $1.rawValue }) {
                let own = records.filter { $0.task.family == family && $0.task.split == split }
                guard !own.isEmpty else { continue }
                var cell = Cell(system, parameters, family, split, own)
                cell.student = student
                cells.append(cell)
            }
        }
    }

    /// Reads `summary.json`.
    public init(_ file: URL) throws {
        self = try JSONCoding.decoder.decode(Self.self, from: Data(contentsOf: file))
    }

    /// Writes `summary.json`.
    public func write(to file: URL) throws { try AtomicFile.write(JSONCoding.prettyEncoder.encode(self), to: file) }
}

extension EvaluationSummary.Cell {
    init(_ system: String, _ parameters: Int, _ family: AgentTask.Family, _ split: String, _ records: [RunRecord]) {
        let proportion = Proportion(successes: records.count { $0.isCorrect }, count: records.count)
        let interval = proportion.interval
        let count = Double(records.count)
        let code = records.reduce(0) { $0 + $1.codeSteps }
        let parse = records.reduce(0) { $0 + $1.parseErrors }
        func mean(_ value: (RunRecord) -> Double) -> Double { rounded(records.reduce(0) { $0 + value($1) } / count) }
        func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
        self.init(
            system: system, parameters: parameters, family: family, split: split,
            accuracy: rounded(proportion.value * 100), low: rounded(interval.low * 100),
            high: rounded(interval.high * 100), n: records.count,
            codeErrorRate: rounded(
                100 * Double(records.reduce(0) { $0 + $1.failedCodeSteps }) / Double(max(code, 1))),
            parseErrorRate: rounded(100 * Double(parse) / Double(max(records.reduce(0) { $0 + $1.steps }, 1))),
            toolCalls: mean { Double($0.toolCalls) }, promptTokens: mean { Double($0.usage.promptTokens) },
            completionTokens: mean { Double($0.usage.completionTokens) }, seconds: mean { $0.seconds },
            causes: Dictionary(records.map { ($0.cause.rawValue, 1) }, uniquingKeysWith: +))
        let overlaps = records.compactMap { $0.f1.map { $0 * 100 } }
        if !overlaps.isEmpty {
            f1 = rounded(overlaps.reduce(0, +) / Double(overlaps.count))
            (f1Low, f1High) = Bootstrap.mean(overlaps).map { (rounded($0.low), rounded($0.high)) } ?? (nil, nil)
        }
        steps = mean { Double($0.steps) }
        func share(_ part: (RunRecord) -> Int, of whole: Int) -> Double {
            rounded(100 * Double(records.reduce(0) { $0 + part($1) }) / Double(max(whole, 1)))
        }
        timeoutRate = share(\.timeouts, of: code)
        toolErrorRate = share(\.toolErrors, of: records.reduce(0) { $0 + $1.toolCalls })
        if proportion.successes > 0 {
            let solved = Double(proportion.successes)
            tokensPerCorrect = rounded(
                Double(records.reduce(0) { $0 + $1.usage.promptTokens + $1.usage.completionTokens }) / solved)
            secondsPerCorrect = rounded(records.reduce(0) { $0 + $1.seconds } / solved)
        }
        let found = ["level", "type", "subject"].compactMap { Breakdown(records, by: $0) }
        breakdowns = found.isEmpty ? nil : found
    }
}
