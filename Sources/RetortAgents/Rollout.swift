import RetortCore

/// The run loop: lets a policy and a search work on a task until it is answered or the steps are used up.
public struct Rollout: Sendable {
    private let policy: any Policy
    private let search: any Search
    private let environment: @Sendable () async throws -> any Environment
    private let maximumSteps: Int
    private let seed: UInt64

    /// - Parameters:
    ///   - environment: makes a fresh session for each task.
    ///   - maximumSteps: after which the policy is asked for its answer.
    public init(
        policy: any Policy, search: any Search = GreedySearch(), maximumSteps: Int = 5, seed: UInt64 = 0,
        environment: @escaping @Sendable () async throws -> any Environment
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
    /// - Throws: `CancellationError` only.
    public func trajectory(
        for task: AgentTask, attempt: Int = 0, emit: @escaping @Sendable (RolloutEvent) -> Void = { _ in }
    ) async throws -> Trajectory {
        var trajectory = Trajectory(
            task: task,
            provenance: Provenance(policy: policy.name, model: policy.modelIdentity, seed: seed, attempt: attempt))
        var session: (any Environment)?
        do {
            var current: any Environment = GuardedEnvironment(try await environment())
            session = current
            while trajectory.ending == nil, trajectory.steps.count < maximumSteps {
                try Task.checkCancellation()
                emit(.stepStarted(trajectory.steps.count))
                let advance = try await search.advance(
                    trajectory, policy: policy, environment: current, seed: stepSeed(trajectory), emit: emit)
                current = advance.environment
                session = current
                trajectory.append(advance.step)
                if let ending = Self.ending(of: advance.step) { trajectory.end(ending) }
                emit(.stepFinished(advance.step))
            }
            if trajectory.ending == nil { try await conclude(&trajectory, emit) }
        } catch let error as CancellationError {
            await session?.close()
            throw error
        } catch {
            trajectory.end(.failed("\(error)"))
        }
        await session?.close()
        return trajectory
    }

    private func conclude(_ trajectory: inout Trajectory, _ emit: @Sendable (RolloutEvent) -> Void) async throws {
        guard
            let proposal = try await policy.conclude(trajectory, seed: stepSeed(trajectory), emit: emit),
            case .answer(let answer) = proposal.action
        else { return trajectory.end(.gaveUp("no answer after \(trajectory.steps.count) steps")) }
        trajectory.append(
            Step(
                thought: proposal.thought, action: proposal.action,
                observation: Observation(text: "", outcome: .final(answer)), usage: proposal.usage))
        trajectory.end(.forced(answer))
    }

    /// Depends on the run, the task and the step alone, so results do not depend on what else runs beside them.
    private func stepSeed(_ trajectory: Trajectory) -> UInt64 {
        StableHash.of("\(seed) \(trajectory.task.id) \(trajectory.provenance.attempt) \(trajectory.steps.count)")
    }

    private static func ending(of step: Step) -> Ending? {
        switch (step.observation.outcome, step.action) {
        case (.final(let value), _): .answered(value)
        case (_, .giveUp(let reason)): .gaveUp(reason)
        default: nil
        }
    }
}

/// Answers what needs no environment: final answers, giving up, and text that held no action.
struct GuardedEnvironment: Environment {
    private let inner: any Environment

    init(_ inner: any Environment) { self.inner = inner }

    func perform(_ action: Action) async throws -> Observation {
        switch action {
        case .answer(let value): Observation(text: "", outcome: .final(value))
        case .giveUp(let reason): Observation(text: reason, outcome: .success)
        case .unparsable(_, let reason): Observation(text: "Error: \(reason)", outcome: .parseError(reason))
        case .code, .toolCall: try await inner.perform(action)
        }
    }

    func fork() async throws -> any Environment { GuardedEnvironment(try await inner.fork()) }

    func close() async { await inner.close() }
}

/// An environment that performs one tool and nothing else: what a policy without an interpreter needs.
public struct ToolEnvironment: Environment {
    private let tools: [String: any Tool]

    public init(_ tools: [any Tool]) {
        self.tools = Dictionary(tools.map { ($0.specification.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    public func perform(_ action: Action) async throws -> Observation {
        guard case .toolCall(let name, let arguments) = action else {
            return Observation(
                text: "Error: only tools can be called here",
                outcome: .executionError(type: "ToolError", message: "only tools can be called here"))
        }
        var call = ToolCall(name: name, arguments: arguments.object ?? [:])
        do {
            guard let tool = tools[name] else { throw ToolError.unknownTool(name, known: Array(tools.keys)) }
            let result = try await tool.call(call.arguments)
            call.result = result
            return Observation(text: result.text, outcome: .success, toolCalls: [call])
        } catch {
            call.error = "\(error)"
            return Observation(
                text: "Error: \(error)", outcome: .executionError(type: "ToolError", message: "\(error)"),
                toolCalls: [call])
        }
    }

    public func fork() async throws -> any Environment { self }

    public func close() async {}
}
