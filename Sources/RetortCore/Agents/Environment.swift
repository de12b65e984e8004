/// Performs actions. One environment is one session with state of its own.
public protocol Environment: Sendable {
    /// Performs an action and tells what came of it. A failing action is an observation, not an error.
    /// - Throws: only when the environment itself broke.
    func perform(_ action: Action) async throws -> Observation

    /// An independent branch with the same state.
    func fork() async throws -> any Environment

    /// Tries an action in a branch of its own, whose effects on the outside world wait until it is committed.
    func attempt(_ action: Action) async throws -> any Attempt

    /// The state that is left, where the environment can tell: a fact of the trajectory, by which it may be graded.
    /// - Throws: when the environment itself broke.
    func state() async throws -> JSONValue?

    /// Ends the session and frees what it holds. Safe to call twice.
    func close() async
}

extension Environment {
    /// None: what is left is no part of the task.
    public func state() async throws -> JSONValue? { nil }
}
