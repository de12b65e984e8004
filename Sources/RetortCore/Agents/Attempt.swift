/// An action tried in a branch of its own: it counts when it is committed and never happened when it is discarded.
public protocol Attempt: Sendable {
    /// How far the action came.
    var progress: AttemptProgress { get }

    /// Makes the branch the session: the environment it was tried from must not be used any more. An action that was
    /// held goes on, and its effects happen.
    /// - Returns: what came of the action, and the environment after it.
    func commit() async throws -> (observation: Observation, environment: any Environment)

    /// Throws the branch away.
    func discard() async
}

/// How far a tried action came.
public enum AttemptProgress: Sendable, Hashable {
    /// To its end.
    case finished(Observation)
    /// To an effect on the outside world, which waits until the action is chosen: the output so far, and what it wants.
    case held(output: String, effect: ToolCall)
}

extension Environment {
    /// Tries an action without letting it count. The environment itself is left as it was.
    ///
    /// An environment whose actions have effects outside its own state must hold them back in its own version of this;
    /// here the action is performed in a fork.
    public func attempt(_ action: Action) async throws -> any Attempt {
        let branch = try await fork()
        do {
            return ForkAttempt(observation: try await branch.perform(action), branch: branch, origin: self)
        } catch {
            await branch.close()
            throw error
        }
    }
}

/// An action that was performed to its end in a fork.
private struct ForkAttempt: Attempt {
    let observation: Observation
    let branch: any Environment
    let origin: any Environment

    var progress: AttemptProgress { .finished(observation) }

    func commit() async -> (observation: Observation, environment: any Environment) {
        await origin.close()
        return (observation, branch)
    }

    func discard() async { await branch.close() }
}
