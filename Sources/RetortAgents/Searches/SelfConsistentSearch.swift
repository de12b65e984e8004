import Foundation
import RetortCore

/// Self-consistent action generation (arXiv 2505.17612, section 4.2), made exact.
///
/// N proposals come from one request. Identical programs run once, each in a fork of the session, so no candidate sees
/// another's state. Failures drop out; the others vote by what they amount to: the canonical final answer, or the
/// canonical printed output. The largest group wins, ties go to the lowest sample, and the winner's fork becomes the
/// session, so nothing runs twice.
public struct SelfConsistentSearch: Search {
    public let name = "selfConsistent"
    private let samples: Int
    private let sampling: Sampling

    public init(samples: Int = 8, sampling: Sampling = Sampling(temperature: 0.4, topP: 0.8)) {
        self.samples = samples
        self.sampling = sampling
    }

    public func advance(
        _ trajectory: Trajectory, policy: any Policy, environment: any Environment, seed: UInt64,
        emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Advance {
        var sampling = sampling
        sampling.seed = seed
        let proposals = try await policy.propose(
            for: trajectory, ProposalRequest(count: samples, sampling: sampling), emit: emit)
        guard !proposals.isEmpty else { throw LanguageModelError.sampleMissing(0) }
        // Of identical actions only the first runs; the others share its outcome.
        let leaders = proposals.indices.map { index in
            proposals.firstIndex { $0.action == proposals[index].action } ?? index
        }
        let branches = try await perform(proposals, leaders: Set(leaders).sorted(), in: environment)
        let observations = leaders.compactMap { branches[$0]?.observation }
        let vote = ActionVote(observations)
        let winner = leaders[vote.winner]
        for (leader, branch) in branches where leader != winner { await branch.environment.close() }
        await environment.close()
        guard let chosen = branches[winner] else { throw LanguageModelError.sampleMissing(winner) }
        let candidates = proposals.indices.map { index in
            Candidate(
                thought: proposals[index].thought, action: proposals[index].action, observation: observations[index],
                votes: vote.votes[index], chosen: index == vote.winner)
        }
        let proposal = proposals[vote.winner]
        return Advance(
            step: Step(
                speaker: proposal.speaker, thought: proposal.thought, action: proposal.action,
                observation: chosen.observation, usage: proposals.reduce(Usage()) { $0 + $1.usage },
                candidates: candidates),
            environment: chosen.environment)
    }

    private struct Branch {
        let observation: Observation
        let environment: any Environment
    }

    /// Runs each distinct action in a fork of its own, all at once.
    private func perform(
        _ proposals: [Proposal], leaders: [Int], in environment: any Environment
    ) async throws -> [Int: Branch] {
        var branches: [Int: Branch] = [:]
        do {
            try await withThrowingTaskGroup(of: (Int, Branch).self) { group in
                for leader in leaders {
                    group.addTask {
                        let fork = try await environment.fork()
                        do {
                            let observation = try await fork.perform(proposals[leader].action)
                            return (leader, Branch(observation: observation, environment: fork))
                        } catch {
                            await fork.close()
                            throw error
                        }
                    }
                }
                for try await (leader, branch) in group { branches[leader] = branch }
            }
        } catch {
            for branch in branches.values { await branch.environment.close() }
            throw error
        }
        return branches
    }
}
