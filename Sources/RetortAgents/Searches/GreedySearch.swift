import RetortCore

/// One proposal a step, performed at once (ReAct, arXiv 2210.03629).
public struct GreedySearch: Search {
    /// `greedy`.
    public let name = "greedy"
    private let sampling: Sampling
    private let laterSampling: Sampling

    /// - Parameters:
    ///   - sampling: greedy for a student.
    ///   - laterSampling: for a task's second trajectory and those after it, which are to differ from the first.
    public init(sampling: Sampling = .greedy, laterSampling: Sampling? = nil) {
        self.sampling = sampling
        self.laterSampling = laterSampling ?? sampling
    }

    /// Proposes one action, performs it and takes it over.
    public func advance(
        _ trajectory: Trajectory, policy: any Policy, environment: any Environment, seed: UInt64,
        emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Advance {
        var sampling = trajectory.provenance.attempt > 0 ? laterSampling : sampling
        sampling.seed = seed
        let proposals = try await policy.propose(
            for: trajectory, ProposalRequest(count: 1, sampling: sampling), emit: emit)
        guard let proposal = proposals.first else { throw LanguageModelError.sampleMissing(0) }
        let observation = try await environment.perform(proposal.action)
        return Advance(step: Step(proposal, observation), environment: environment)
    }
}

extension Step {
    /// A proposal that was performed.
    /// - Parameter usage: what the step cost in all, where that is more than the proposal did.
    init(_ proposal: Proposal, _ observation: Observation, usage: Usage? = nil, candidates: [Candidate] = []) {
        self.init(
            speaker: proposal.speaker, thought: proposal.thought, action: proposal.action, observation: observation,
            usage: usage ?? proposal.usage, candidates: candidates, transcript: proposal.transcript,
            wording: proposal.wording)
    }
}
