import RetortCore

/// Replaces one step of a trajectory that went wrong, and lets whoever took it go on from there.
///
/// The steps before are done again in a fresh session, and must show what they showed. The teacher sees them and the question: neither the
/// step that it replaces, nor what comes of that, nor the reference answer.
public struct StepRepair: Sendable {
    private let rollout: Rollout
    private let teacher: any Policy
    private let sampling: Sampling

    /// What a repair's policy is called in provenances.
    public static let policy = "repair"

    /// - Parameters:
    ///   - rollout: how the student goes on.
    ///   - teacher: who writes the step.
    ///   - sampling: how the teacher's tokens are chosen.
    public init(_ rollout: Rollout, teacher: any Policy, sampling: Sampling = .greedy) {
        self.rollout = rollout
        self.teacher = teacher
        self.sampling = sampling
    }

    /// The places of the first wrong step, the likeliest first: from the earliest step that visibly failed to the last,
    /// then the steps before it, nearest first. Where no step failed, all from the first.
    public static func candidates(of trajectory: Trajectory) -> [Int] {
        let own = trajectory.steps.indices.filter { index in
            trajectory.steps[index].speaker != ChainOfThoughtView.retriever
                && !(trajectory.endsForced && index == trajectory.steps.count - 1)
        }
        let failed = own.first { index in
            let observation = trajectory.steps[index].observation
            return observation.outcome.isFailure || observation.toolCalls.contains { $0.error != nil }
        }
        guard let failed else { return own }
        return own.filter { $0 >= failed } + own.filter { $0 < failed }.reversed()
    }

    /// The id of the trajectory that a repair makes.
    public static func id(_ task: AgentTask, step: Int) -> String { "\(task.id)/\(policy)/\(step)" }

    /// The trajectory with another step in the place of one of its own, to its end. The step's candidates are what it replaces and what it
    /// is; the provenance's attempt is its place.
    /// - Throws: `CancellationError`, and errors that halt the whole run (`RunHalting`).
    public func callAsFunction(_ wrong: Trajectory, step index: Int) async throws -> Trajectory {
        var provenance = wrong.provenance
        provenance.policy = Self.policy
        provenance.attempt = index
        provenance.version = Retort.version
        let start = Trajectory(task: wrong.task, provenance: provenance, id: Self.id(wrong.task, step: index))
        let teach = { (trajectory: inout Trajectory, session: any Environment) async throws -> Void in
            try await trajectory.replay(wrong.steps.prefix(index), in: session)
            guard trajectory.ending == nil else { return }
            try await replace(wrong.steps[index], in: &trajectory, session)
        }
        return try await rollout.complete(start, beginning: teach)
    }

    private func replace(_ wrong: Step, in trajectory: inout Trajectory, _ session: any Environment) async throws {
        var shown = trajectory
        shown.task.answers = []
        var sampling = sampling
        sampling.seed = trajectory.stepSeed
        let proposals = try await teacher.propose(for: shown, ProposalRequest(count: 1, sampling: sampling)) { _ in }
        guard let proposal = proposals.first else { throw LanguageModelError.sampleMissing(0) }
        let isSame = proposal.action.canonicalText == wrong.action.canonicalText
        let observation = isSame ? wrong.observation : try await session.perform(proposal.action)
        let candidates = [
            Candidate(thought: wrong.thought, action: wrong.action, observation: wrong.observation),
            Candidate(thought: proposal.thought, action: proposal.action, observation: observation, chosen: true),
        ]
        let step = Step(proposal, observation, candidates: candidates)
        trajectory.append(step)
        if isSame {
            trajectory.end(.gaveUp("the teacher did the same"))
        } else if let ending = step.ending {
            trajectory.end(ending)
        }
    }
}
