import RetortCore

/// A session whose tools are answered outside of it, by the services of its task.
///
/// Its branches share those services, which cannot be forked. Of calls with effects, only the chosen candidate's are
/// made.
struct ServedEnvironment: Environment {
    private let inner: any Environment
    private let services: TaskServices

    init(_ inner: any Environment, _ services: TaskServices) { (self.inner, self.services) = (inner, services) }

    func perform(_ action: Action) async throws -> Observation {
        try await services.using { try await inner.perform(action) }
    }

    func attempt(_ action: Action) async throws -> any Attempt {
        ServedAttempt(inner: try await services.using { try await inner.attempt(action) }, services: services)
    }

    func fork() async throws -> any Environment { ServedEnvironment(try await inner.fork(), services) }

    func state() async throws -> JSONValue? { try await inner.state() }

    /// Ends the session; the task's services end when none of its branches is left.
    func close() async { await inner.close() }
}

private struct ServedAttempt: Attempt {
    let inner: any Attempt
    let services: TaskServices

    var progress: AttemptProgress { inner.progress }

    func commit() async throws -> (observation: Observation, environment: any Environment) {
        let (observation, environment) = try await services.using { try await inner.commit() }
        return (observation, ServedEnvironment(environment, services))
    }

    func discard() async { await inner.discard() }
}

extension TaskServices {
    /// Does something as the current task.
    /// - Throws: what the body throws; the reason why the run has failed, where it has.
    fileprivate func using<Value>(_ body: () async throws -> Value) async throws -> Value {
        let value = try await Self.$current.withValue(self) { try await body() }
        if let failure { throw failure }
        return value
    }
}
