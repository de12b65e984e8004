import RetortCore

/// The votes of a judge, and their result.
public struct JudgeVotes: Codable, Sendable, Hashable {
    /// Votes in favour.
    public var yes: Int
    /// Votes against.
    public var no: Int
    /// Undecided or unreadable votes.
    public var unsure: Int

    /// Votes with their counts; none by default.
    public init(yes: Int = 0, no: Int = 0, unsure: Int = 0) {
        self.yes = yes
        self.no = no
        self.unsure = unsure
    }

    /// 1 for a majority in favour, 0 for one against, ½ for a tie; a majority of undecided votes is a tie.
    public var score: Double {
        if unsure > max(yes, no) || yes == no { return 0.5 }
        return yes > no ? 1 : 0
    }

    /// Whether there is no majority in favour or against.
    public var isTie: Bool { score == 0.5 }

    /// The number of votes.
    public var count: Int { yes + no + unsure }

    /// Whether all votes are the same.
    public var isUnanimous: Bool { [yes, no, unsure].count { $0 > 0 } == 1 }
}

/// The mean of the scores of many runs, each 0, ½ or 1, with its 95 % interval.
public struct JudgedRate: Codable, Sendable, Hashable {
    /// The number of runs.
    public let count: Int
    /// The mean score, in 0…1; 0 without runs.
    public let value: Double
    /// The lower end of the interval, in 0…1.
    public let low: Double
    /// The upper end of the interval, in 0…1.
    public let high: Double
    /// How many runs scored ½.
    public let ties: Int

    /// The interval is the normal approximation, cut to 0…1; where all scores are equal, it is Wilson's.
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
