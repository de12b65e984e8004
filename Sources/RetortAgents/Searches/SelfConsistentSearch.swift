import RetortCore

/// Self-consistent action generation (arXiv 2505.17612, section 4.2), made exact.
///
/// N proposals come from one request. Identical actions run once, each in a fork of the session, so no candidate sees
/// another's state. Failures drop out; the others vote by what they amount to: the canonical final answer, or the
/// canonical printed output. The largest group wins, ties go to the group of the lowest sample, and the winner's fork
/// becomes the session, so nothing runs twice. When all fail, the first sample's failure is what is observed. Programs
/// that can no longer change the vote are stopped.
///
/// A candidate that comes to an effect on the outside world waits there and votes with what it printed and what it wants
/// to do; only when it wins does the effect happen, once.
public struct SelfConsistentSearch: Search {
    /// `selfConsistent`.
    public let name = "selfConsistent"
    private let samples: Int
    private let sampling: Sampling
    private let concurrency: Int
    private let rule: VoteRule
    private let spelling: @Sendable (JSONValue, AgentTask.Family) -> String?

    /// - Parameters:
    ///   - samples: how many proposals a step considers.
    ///   - sampling: how their tokens are chosen; the seed is set for each step.
    ///   - concurrency: how many forks run at once.
    ///   - rule: how candidates are compared.
    ///   - spelling: one spelling for final answers that a grader of such tasks holds for the same, such as ½ and 0.5; see
    ///     `AnswerSpeller`.
    public init(
        samples: Int = 8, sampling: Sampling = Sampling(temperature: 0.4, topP: 0.8), concurrency: Int = 8,
        rule: VoteRule = .canonical,
        spelling: @escaping @Sendable (JSONValue, AgentTask.Family) -> String? = { _, _ in nil }
    ) {
        self.samples = max(samples, 1)
        self.sampling = sampling
        self.concurrency = max(concurrency, 1)
        self.rule = rule
        self.spelling = spelling
    }

    /// With the temperature and nucleus alone, all tokens considered.
    public init(samples: Int, temperature: Double, topP: Double = 1) {
        self.init(samples: samples, sampling: Sampling(temperature: temperature, topP: topP))
    }

    /// Takes the step that most of the samples agree on.
    public func advance(
        _ trajectory: Trajectory, policy: any Policy, environment: any Environment, seed: UInt64,
        emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Advance {
        var sampling = sampling
        sampling.seed = seed
        let proposals = try await policy.propose(
            for: trajectory, ProposalRequest(count: samples, sampling: sampling), emit: emit)
        guard let first = proposals.first else { throw LanguageModelError.sampleMissing(0) }
        let usage = proposals.reduce(Usage()) { $0 + $1.usage }
        // Nothing to vote on: the step is taken as it is, its effects included.
        if proposals.allSatisfy({ $0.action == first.action }) {
            let immediate = first.action.immediateObservation
            let observation = if let immediate { immediate } else { try await environment.perform(first.action) }
            let candidates = proposals.enumerated().map { index, proposal in
                Candidate(
                    thought: proposal.thought, action: proposal.action, observation: observation,
                    votes: observation.outcome.isFailure ? 0 : proposals.count, chosen: index == 0)
            }
            return Advance(
                step: Step(first, observation, usage: usage, candidates: candidates), environment: environment)
        }
        let (spelling, family) = (spelling, trajectory.task.family)
        var ballot = CandidateBallot(proposals.map(\.action), rule: rule) { spelling($0, family) }
        try await ballot.run(in: environment, concurrency: concurrency)
        let winner = ballot.winner
        let (observation, session) = try await ballot.conclude(environment)
        let votes = ballot.votes
        let candidates = proposals.indices.map { index in
            Candidate(
                thought: proposals[index].thought, action: proposals[index].action,
                observation: ballot.leader(of: index) == ballot.leader(of: winner)
                    ? observation : ballot.observation(of: index),
                votes: votes[index], chosen: index == winner)
        }
        return Advance(
            step: Step(proposals[winner], observation, usage: usage, candidates: candidates), environment: session)
    }
}
