import RetortCore

/// How the candidates of a step are compared.
public enum VoteRule: String, Sendable, Hashable, CaseIterable, Codable {
    /// By what they amount to: the final answer's canonical value, or the canonical output. Finals and outputs never mix.
    case canonical
    /// The rule of the original system (arXiv 2505.17612's code), for comparison: exact printed text alone, so that all
    /// silent programs, those that give a final answer among them, are of one mind; when no two agree, the first.
    case paper
}

/// One spelling for final answers that count as the same; nil leaves an answer to the general rule, by which `2`, `2.0` and
/// the text `2` are one.
public typealias AnswerSpeller = @Sendable (JSONValue) -> String?

/// The vote among the outcomes of several candidates, while they come in.
struct ActionVote {
    private let rule: VoteRule
    private let spelling: AnswerSpeller
    /// For each sample what it amounts to; nil while it is not known.
    private var ballots: [Ballot?]

    /// What a candidate amounts to.
    private enum Ballot: Hashable {
        case failed
        case final(String)
        case output(String)
        /// Stands before an effect on the outside world, having printed this.
        case held(String)
    }

    init(samples: Int, rule: VoteRule, spelling: @escaping AnswerSpeller) {
        self.rule = rule
        self.spelling = spelling
        ballots = Array(repeating: nil, count: samples)
    }

    /// Takes in what came of a sample.
    mutating func add(_ progress: AttemptProgress, of sample: Int) {
        switch progress {
        case .held(let output, let effect):
            let arguments = effect.arguments.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.text)" }
            ballots[sample] = .held("\(CanonicalText.of(output))\n\(effect.name)(\(arguments.joined(separator: ", ")))")
        case .finished(let observation):
            ballots[sample] = rule == .paper ? Self.paperBallot(observation) : ballot(observation)
        }
    }

    private func ballot(_ observation: Observation) -> Ballot {
        switch observation.outcome {
        case .final(let value): .final(spelling(value) ?? value.canonical)
        case .success: .output(CanonicalText.of(observation.text))
        case .parseError, .executionError, .timeout: .failed
        }
    }

    private static func paperBallot(_ observation: Observation) -> Ballot {
        guard !observation.outcome.isFailure else { return .failed }
        let printed = observation.text.split(separator: "\n", omittingEmptySubsequences: false)
            .prefix { !$0.hasPrefix("Out: ") }.joined(separator: "\n")
        return .output(printed == "(no output)" ? "" : printed)
    }

    /// For each sample, the size of its group; 0 for failures and those not known.
    var votes: [Int] {
        let sizes = ballots.reduce(into: [Ballot: Int]()) { sizes, ballot in
            if let ballot, ballot != .failed { sizes[ballot, default: 0] += 1 }
        }
        return ballots.map { ballot in ballot.flatMap { sizes[$0] } ?? 0 }
    }

    /// The first sample of the largest group; ties go to the group of the lowest sample. When all failed, the first
    /// sample, whose error is then what is observed.
    var winner: Int {
        let votes = votes
        return votes.firstIndex(of: votes.max() ?? 0) ?? 0
    }

    /// Whether no sample that is still out can change the winner.
    var isDecided: Bool {
        let waiting = ballots.indices.filter { ballots[$0] == nil }
        guard let firstWaiting = waiting.first else { return true }
        let votes = votes
        let winner = winner
        guard votes[winner] > 0, firstWaiting > winner else { return false }
        let others = ballots.indices.filter { ballots[$0] != ballots[winner] }.map { votes[$0] }.max() ?? 0
        return max(others, 0) + waiting.count < votes[winner]
    }
}
