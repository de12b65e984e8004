import Foundation
import RetortCore

/// ToolAlpaca's figures of many runs.
public struct ToolAlpacaReport: Codable, Sendable, Hashable {
    /// The figures of some runs.
    public struct Row: Codable, Sendable, Hashable {
        public let runs: Int
        /// Proc.: whether the calls are those that solve the task.
        public let process: JudgedRate
        /// Ans.: whether the answer tells what was found and fulfils the request.
        public let answer: JudgedRate
        /// Both.
        public let both: JudgedRate

        init(_ judgements: [ToolAlpacaJudge.Judgement]) {
            runs = judgements.count
            process = JudgedRate(judgements.map(\.process))
            answer = JudgedRate(judgements.map(\.answer))
            both = JudgedRate(judgements.map(\.both))
        }
    }

    /// A run and what was found.
    public struct Judged: Codable, Sendable, Hashable {
        /// The task's id.
        public let task: String
        /// `answered`, `gave up` or `failed`.
        public let ending: String
        public let judgement: ToolAlpacaJudge.Judgement

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

    public let all: Row
    /// By how the run ended.
    public let endings: [String: Row]
    /// The share of questions on which all votes agreed, of those that were asked; nil when none was.
    public let unanimous: Double?
    /// Replies of the judge that hold no verdict, and all of its replies.
    public let unreadable: Int
    public let replies: Int
    /// Tasks of the file that have no run, which no rate counts.
    public let missing: [String]
    /// Tasks of the file without expected calls, which nobody can judge.
    public let withoutReference: [String]

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

    /// As Markdown, in percent with 95 % intervals.
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
