import Foundation
import RetortCore

/// ToolAlpaca's figures for many runs.
public struct ToolAlpacaReport: Codable, Sendable, Hashable {
    /// The figures for a group of runs.
    public struct Row: Codable, Sendable, Hashable {
        /// The number of runs.
        public let runs: Int
        /// Proc.: whether the calls are those that solve the task.
        public let process: JudgedRate
        /// Ans.: whether the answer tells what was found and fulfils the request.
        public let answer: JudgedRate
        /// Both at once.
        public let both: JudgedRate

        init(_ judgements: [ToolAlpacaJudge.Judgement]) {
            runs = judgements.count
            process = JudgedRate(judgements.map(\.process))
            answer = JudgedRate(judgements.map(\.answer))
            both = JudgedRate(judgements.map(\.both))
        }
    }

    /// A run and its judgement.
    public struct Judged: Codable, Sendable, Hashable {
        /// The task's id.
        public let task: String
        /// `answered`, `gave up` or `failed`.
        public let ending: String
        /// What the judge found.
        public let judgement: ToolAlpacaJudge.Judgement

        /// - Parameter run: gives the task's id and the ending; a forced answer counts as `failed`.
        public init(_ run: Trajectory, _ judgement: ToolAlpacaJudge.Judgement) {
            task = run.task.id
            ending =
                switch run.ending {
                case .answered: "answered"
                case .gaveUp: "gave up"
                case .forced, .failed, nil: "failed"
                }
            self.judgement = judgement
        }
    }

    /// The figures for all runs.
    public let all: Row
    /// The figures by how the runs ended.
    public let endings: [String: Row]
    /// The share of the judge's questions on which all votes agreed, in 0…1; nil when none was asked.
    public let unanimous: Double?
    /// The number of the judge's replies without a verdict.
    public let unreadable: Int
    /// The number of all replies of the judge.
    public let replies: Int
    /// The ids of tasks without a run, which no rate counts.
    public let missing: [String]
    /// The ids of tasks without expected calls, which cannot be judged.
    public let withoutReference: [String]

    /// The figures for judged runs, all together and by ending.
    public init(_ judged: [Judged], missing: [String] = [], withoutReference: [String] = []) {
        all = Row(judged.map(\.judgement))
        endings = Dictionary(grouping: judged, by: \.ending).mapValues { Row($0.map(\.judgement)) }
        let votes = judged.flatMap { [$0.judgement.processVotes, $0.judgement.answerVotes].compactMap(\.self) }
        unanimous = votes.isEmpty ? nil : Double(votes.count(where: \.isUnanimous)) / Double(votes.count)
        unreadable = judged.reduce(0) { $0 + $1.judgement.unreadable }
        replies = judged.reduce(0) { $0 + ($1.judgement.processVotes?.count ?? 0) }
        self.missing = missing
        self.withoutReference = withoutReference
    }

    /// The figures as Markdown, in percent with 95 % intervals.
    public var table: String {
        var lines = ["| runs | n | Proc. | Ans. | both | ties |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
        for (name, row) in [("all", all)] + endings.sorted(by: { $0.key < $1.key }) {
            let rates = [row.process, row.answer, row.both].map(Self.percent).joined(separator: " | ")
            lines.append("| \(name) | \(row.runs) | \(rates) | \(row.process.ties) and \(row.answer.ties) |")
        }
        lines.append("")
        if let unanimous {
            lines.append("All votes agreed on \(String(format: "%.1f", 100 * unanimous)) % of what was asked.")
        }
        if unreadable > 0 {
            lines.append("\(unreadable) of the judge's \(replies) replies hold no verdict and count as undecided.")
        }
        if !missing.isEmpty { lines.append("\(missing.count) tasks have no run and are not counted.") }
        if !withoutReference.isEmpty {
            lines.append("\(withoutReference.count) tasks have no expected calls and are not counted.")
        }
        return lines.joined(separator: "\n")
    }

    private static func percent(_ rate: JudgedRate) -> String {
        String(format: "%.1f (%.0f–%.0f)", 100 * rate.value, 100 * rate.low, 100 * rate.high)
    }
}
