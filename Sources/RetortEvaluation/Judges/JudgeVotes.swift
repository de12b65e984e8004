import RetortCore

/// What several votes of a judge come to.
public struct JudgeVotes: Codable, Sendable, Hashable {
    /// Votes for, against, and undecided or unreadable.
    public var yes: Int
    public var no: Int
    public var unsure: Int

    public init(yes: Int = 0, no: Int = 0, unsure: Int = 0) {
        self.yes = yes
        self.no = no
        self.unsure = unsure
    }

    /// 1 for, 0 against, ½ for a tie; a majority of undecided votes is a tie.
    public var score: Double {
        if unsure > max(yes, no) || yes == no { return 0.5 }
        return yes > no ? 1 : 0
    }

    /// Whether there is no majority either way.
    public var isTie: Bool { score == 0.5 }

    /// How many there are.
    public var count: Int { yes + no + unsure }

    /// Whether all votes say the same.
    public var isUnanimous: Bool { [yes, no, unsure].count { $0 > 0 } == 1 }
}

/// Scores of many runs, each 0, ½ or 1, with the 95 % interval of their mean.
public struct JudgedRate: Codable, Sendable, Hashable {
    /// Runs.
    public let count: Int
    /// The mean score, in 0…1; 0 when there is none.
    public let value: Double
    public let low: Double
    public let high: Double
    /// Runs that counted ½.
    public let ties: Int

    /// The interval is Student's for large samples, cut to 0…1; where all scores are equal, Wilson's.
    public init(_ scores: [Double]) {
        count = scores.count
        ties = scores.count { $0 == 0.5 }
        let n = Double(max(scores.count, 1))
        let mean = scores.reduce(0, +) / n
        value = mean
        let variance = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(n - 1, 1)
        let half = normalQuantile * (variance / n).squareRoot()
        if variance == 0 {
            let wilson = Proportion(successes: Int((mean * n).rounded()), count: scores.count).interval
            (low, high) = (wilson.low, wilson.high)
        } else {
            (low, high) = (max(0, mean - half), min(1, mean + half))
        }
    }
}
