import RetortCore
import Tracing

/// The run loop: lets a policy and a search work on a task until it is answered or the steps are used up.
public struct Rollout: Sendable {
    private let policy: any Policy
    private let search: any Search
    private let environment: @Sendable (AgentTask) async throws -> any Environment
    private let maximumSteps: Int
    private let seed: UInt64

    /// - Parameters:
    ///   - environment: makes a fresh session for each task.
    ///   - maximumSteps: after which the policy is asked for its answer.
    public init(
        policy: any Policy, search: any Search = GreedySearch(), maximumSteps: Int = 5, seed: UInt64 = 0,
        environment: @escaping @Sendable () async throws -> any Environment
    ) {
        self.init(policy: policy, search: search, maximumSteps: maximumSteps, seed: seed) { _ in try await environment()
        }
    }

    /// - Parameter environment: makes a session for a task, where tasks have tools of their own.
    public init(
        policy: any Policy, search: any Search = GreedySearch(), maximumSteps: Int = 5, seed: UInt64 = 0,
        environmentFor environment: @escaping @Sendable (AgentTask) async throws -> any Environment
    ) {
        self.policy = policy
        self.search = search
        self.environment = environment
        self.maximumSteps = maximumSteps
        self.seed = seed
    }

    /// Works on a task, as events while it happens; the last one is `.finished`. Ending the iteration cancels the work.
    public func run(_ task: AgentTask, attempt: Int = 0) -> AsyncThrowingStream<RolloutEvent, any Error> {
        AsyncThrowingStream { continuation in
            let work = Task {
                do {
                    let trajectory = try await trajectory(for: task, attempt: attempt) { continuation.yield($0) }
                    continuation.yield(.finished(trajectory))
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in work.cancel() }
        }
    }

    /// Works on a task to its end. A model or environment that breaks is an ending, not an error.
    /// - Throws: `CancellationError`, and errors that halt the whole run (`RunHalting`).
    public func trajectory(
        for task: AgentTask, attempt: Int = 0, emit: @escaping @Sendable (RolloutEvent) -> Void = { _ in }
    ) async throws -> Trajectory {
        try await complete(Trajectory(task: task, provenance: provenance(attempt)), emit)
    }

    /// The same from a beginning that somebody else makes.
    /// - Parameters:
    ///   - start: without steps.
    ///   - beginning: takes the first steps in the fresh session; where it ends the trajectory, nothing follows.
    func complete(
        _ start: Trajectory, _ emit: @escaping @Sendable (RolloutEvent) -> Void = { _ in },
        beginning: (inout Trajectory, any Environment) async throws -> Void = { _, _ in }
    ) async throws -> Trajectory {
        try await withSpan("invoke_agent \(policy.name)") { span in
            span.attributes.merge(AgentSpan.agent(start))
            let trajectory = try await pursue(start, emit, beginning: beginning)
            AgentSpan.end(trajectory, span)
            return trajectory
        }
    }

    private func pursue(
        _ start: Trajectory, _ emit: @escaping @Sendable (RolloutEvent) -> Void,
        beginning: (inout Trajectory, any Environment) async throws -> Void
    ) async throws -> Trajectory {
        var trajectory = start
        var session: (any Environment)?
        do {
            var current: any Environment = GuardedEnvironment(try await environment(trajectory.task))
            defer { session = current }
            try await beginning(&trajectory, current)
            if trajectory.ending == nil {
                try await search.pursue(
                    &trajectory, in: &current, policy: policy, maximumSteps: maximumSteps, emit: emit)
            }
            if trajectory.ending == nil { try await conclude(&trajectory, emit) }
            // A state of nothing is none.
            if let state = try await current.state(), state != .null { trajectory.state = state }
        } catch {
            // A cancelled model may end its stream in its own way; that is no failure to record. One that says it was
            // cancelled while nobody did so has failed.
            guard !Task.isCancelled else {
                await session?.close()
                throw CancellationError()
            }
            if let halting = error as? any RunHalting, halting.haltsRun {
                await session?.close()
                throw error
            }
            trajectory.fail("\(error)")
        }
        await session?.close()
        return trajectory
    }

    func provenance(_ attempt: Int) -> Provenance {
        Provenance(
            policy: policy.name, model: policy.modelIdentity, seed: seed, attempt: attempt,
            prompt: policy.promptIdentity, version: Retort.version)
    }

    /// What a job's trajectory will be called, before it is made.
    public func trajectoryID(_ job: RolloutJob) -> String {
        Trajectory(task: job.task, provenance: provenance(job.attempt)).id
    }

    /// A job's trajectory that could not be made.
    public func failure(of job: RolloutJob, _ reason: String) -> Trajectory {
        var trajectory = Trajectory(task: job.task, provenance: provenance(job.attempt))
        trajectory.fail(reason)
        return trajectory
    }

    /// Asks for the answer when no steps are left. What is said instead of one is recorded too.
    private func conclude(_ trajectory: inout Trajectory, _ emit: @Sendable (RolloutEvent) -> Void) async throws {
        let none = "no answer after \(trajectory.steps.count) steps"
        emit(.stepStarted(trajectory.steps.count))
        guard let proposal = try await policy.conclude(trajectory, seed: trajectory.stepSeed, emit: emit) else {
            return trajectory.end(.gaveUp(none))
        }
        let observation =
            proposal.action.immediateObservation
            ?? Observation(text: "", outcome: .parseError("only an answer counts when no steps are left"))
        let step = Step(proposal, observation, usage: proposal.usage)
        trajectory.append(step)
        if case .answer(let answer) = proposal.action {
            trajectory.end(.forced(answer))
        } else {
            trajectory.end(.gaveUp(none))
        }
        emit(.stepFinished(step))
    }
}
