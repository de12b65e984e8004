import RetortCore

/// The vote among the outcomes of several candidates.
struct ActionVote {
    /// The index of the chosen candidate.
    let winner: Int
    /// For each candidate, the size of its group; 0 for failures.
    let votes: [Int]

    /// What a candidate amounts to. Final answers and printed outputs never mix.
    private enum Ballot: Hashable {
        case final(String)
        case output(String)
    }

    /// - Parameter observations: one for each sample, in sample order; not empty.
    init(_ observations: [Observation]) {
        let ballots = observations.map(Self.ballot)
        let sizes = ballots.reduce(into: [Ballot: Int]()) { sizes, ballot in
            if let ballot { sizes[ballot, default: 0] += 1 }
        }
        votes = ballots.map { ballot in ballot.flatMap { sizes[$0] } ?? 0 }
        // The first of the largest group; when all failed, the first sample, whose error is then the observation.
        let most = votes.max() ?? 0
        winner = votes.firstIndex(of: most) ?? 0
    }

    private static func ballot(_ observation: Observation) -> Ballot? {
        switch observation.outcome {
        case .final(let value): .final(CanonicalText.of(value.text))
        case .success: .output(CanonicalText.of(observation.text))
        case .parseError, .executionError, .timeout: nil
        }
    }
}
