import RetortCore

/// Self-consistent action generation (arXiv 2505.17612, section 4.2), made exact.
///
/// N proposals come from one request. Identical actions run once, each in a fork of the session, so no candidate sees
/// another's state. Failures drop out; the others vote by what they amount to: the canonical final answer, or the
/// canonical printed output. The largest group wins, ties go to the group of the lowest sample, and the winner's fork
/// becomes the session, so nothing runs twice. When all fail, the first sample's failure is what is observed.
public struct SelfConsistentSearch: Search {
    public let name = "selfConsistent"
    private let samples: Int
    private let sampling: Sampling
    private let concurrency: Int

    /// - Parameters:
    ///   - samples: how many proposals a step considers.
    ///   - sampling: how their tokens are chosen; the seed is set for each step.
    ///   - concurrency: how many forks run at once.
    public init(
        samples: Int = 8, sampling: Sampling = Sampling(temperature: 0.4, topP: 0.8), concurrency: Int = 4
    ) {
        self.samples = max(samples, 1)
        self.sampling = sampling
        self.concurrency = max(concurrency, 1)
    }

    /// With the temperature and nucleus alone, all tokens considered.
    public init(samples: Int, temperature: Double, topP: Double = 1) {
        self.init(samples: samples, sampling: Sampling(temperature: temperature, topP: topP))
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
        let trials = try await tryOut(
            Set(leaders).sorted().map { ($0, proposals[$0].action) }, in: environment)
        let observations = leaders.compactMap { trials[$0]?.observation }
        let vote = ActionVote(observations)
        let session = await keep(leaders[vote.winner], of: trials, from: environment)
        let chosen = proposals[vote.winner]
        return Advance(
            step: Step(
                speaker: chosen.speaker, thought: chosen.thought, action: chosen.action,
                observation: observations[vote.winner], usage: proposals.reduce(Usage()) { $0 + $1.usage },
                candidates: proposals.indices.map { index in
                    Candidate(
                        thought: proposals[index].thought, action: proposals[index].action,
                        observation: observations[index], votes: vote.votes[index], chosen: index == vote.winner)
                }),
            environment: session)
    }

    /// What came of an action, and the fork it was performed in; nil when it needed none.
    private struct Trial {
        let observation: Observation
        let fork: (any Environment)?
    }

    /// Performs each action in a fork of its own, a bounded number at once.
    /// - Throws: the first error of an environment, or that of a cancellation, when all forks are closed again.
    private func tryOut(_ actions: [(Int, Action)], in environment: any Environment) async throws -> [Int: Trial] {
        var trials: [Int: Trial] = [:]
        var failure: (any Error)?
        // Each child tells its end as a value: a throwing group would drop the forks of those that end after an error.
        await withTaskGroup(of: (Int, Result<Trial, any Error>).self) { group in
            var waiting = actions[...]
            for (index, action) in waiting.prefix(concurrency) {
                group.addTask { (index, await Self.trial(of: action, in: environment)) }
            }
            waiting = waiting.dropFirst(concurrency)
            for await (index, result) in group {
                switch result {
                case .success(let trial): trials[index] = trial
                case .failure(let error):
                    failure = failure ?? error
                    waiting = []
                    group.cancelAll()
                }
                if let (index, action) = waiting.popFirst() {
                    group.addTask { (index, await Self.trial(of: action, in: environment)) }
                }
            }
        }
        if failure == nil, Task.isCancelled { failure = CancellationError() }
        guard let failure else { return trials }
        for trial in trials.values { await trial.fork?.close() }
        throw failure
    }

    private static func trial(
        of action: Action, in environment: any Environment
    ) async -> Result<Trial, any Error> {
        if let observation = action.immediateObservation {
            return .success(Trial(observation: observation, fork: nil))
        }
        do {
            try Task.checkCancellation()
            let fork = try await environment.fork()
            do {
                return .success(Trial(observation: try await fork.perform(action), fork: fork))
            } catch {
                await fork.close()
                return .failure(error)
            }
        } catch {
            return .failure(error)
        }
    }

    /// Makes the winner's fork the session and closes all the others.
    private func keep(
        _ winner: Int, of trials: [Int: Trial], from environment: any Environment
    ) async -> any Environment {
        for (index, trial) in trials where index != winner { await trial.fork?.close() }
        guard let fork = trials[winner]?.fork else { return environment }
        await environment.close()
        return fork
    }
}
