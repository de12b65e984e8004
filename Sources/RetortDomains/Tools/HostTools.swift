import RetortCore
import Synchronization

/// All tools of a domain that are answered outside the agent's session, with what runs for them.
///
/// A service that is one for all is started when the domain is opened and ends with it. One that is each task's own is
/// started when the task needs it, and ends when nothing of the task's session is left, or with the domain.
final class HostTools: Sendable {
    private struct State {
        /// Those that are one for all, by the place of their service.
        var shared: [Int: any RunningTools] = [:]
        var tasks: [ObjectIdentifier: WeakTask] = [:]
        /// The ends of those that no task needs any more.
        var endings: [Int: Task<Void, Never>] = [:]
        var number = 0
        var isClosed = false
    }

    private struct WeakTask: Sendable { weak var services: TaskServices? }

    let services: [ToolService]
    private let state = Mutex(State())

    init(_ services: [ToolService], shared: [Int: any RunningTools]) {
        self.services = services
        state.withLock { $0.shared = shared }
    }

    /// The tools, for any session: one that belongs to a task finds its own service by the task at work.
    var tools: [any Tool] {
        services.enumerated().flatMap { index, service in
            service.specifications.map { ServiceTool(specification: $0, service: index, hosts: self) }
        }
    }

    var isEmpty: Bool { services.isEmpty }

    /// What runs for a task. Where it has a state of its own to be made, that is done here.
    /// - Throws: `ToolServiceError.hookFailed`, `unavailable`.
    func begin(_ task: JSONValue) async throws -> TaskServices {
        let own = TaskServices(task, self)
        state.withLock { $0.tasks[ObjectIdentifier(own)] = WeakTask(services: own) }
        for (index, service) in services.enumerated() where service.lifetime == .task && service.hasSetup {
            _ = try await own.running(index)
        }
        return own
    }

    /// What answers for a service's tools, for the task at work.
    func running(_ index: Int, tool: String) async throws -> any RunningTools {
        if let shared = state.withLock({ $0.shared[index] }) { return shared }
        guard let task = TaskServices.current else { throw ToolServiceError.noTask(tool: tool) }
        return try await task.running(index)
    }

    /// Ends what a task leaves.
    func retire(_ id: ObjectIdentifier, _ running: [any RunningTools]) {
        state.withLock { state in
            state.tasks[id] = nil
            guard !running.isEmpty else { return }
            state.number += 1
            let number = state.number
            state.endings[number] = Task { [weak self] in
                for one in running { await one.close() }
                self?.state.withLock { $0.endings[number] = nil }
            }
        }
    }

    /// Ends everything and waits for the ends.
    func close() async {
        let (shared, tasks) = state.withLock { state in
            state.isClosed = true
            defer { (state.shared, state.tasks) = ([:], [:]) }
            return (Array(state.shared.values), state.tasks.values.compactMap(\.services))
        }
        let left = tasks.flatMap { $0.end() }
        await withTaskGroup(of: Void.self) { group in
            for one in shared + left { group.addTask { await one.close() } }
        }
        for ending in state.withLock({ Array($0.endings.values) }) { await ending.value }
    }
}

/// What runs outside the session for one task alone.
final class TaskServices: Sendable {
    /// Those of the task at work: the session is shown its tools through them.
    @TaskLocal static var current: TaskServices?

    private struct State {
        var starting: [Int: Task<any RunningTools, any Error>] = [:]
        var running: [Int: any RunningTools] = [:]
        var failure: (any Error)?
        var isEnded = false
    }

    private let task: JSONValue
    private let hosts: HostTools
    private let state = Mutex(State())

    init(_ task: JSONValue, _ hosts: HostTools) { (self.task, self.hosts) = (task, hosts) }

    deinit { hosts.retire(ObjectIdentifier(self), end()) }

    /// Why the run of the task has failed; nil where it has not.
    var failure: (any Error)? { state.withLock(\.failure) }

    func fail(_ error: any Error) { state.withLock { $0.failure = $0.failure ?? error } }

    /// The task's own service, started when it is first asked for.
    func running(_ index: Int) async throws -> any RunningTools {
        let (service, record) = (hosts.services[index], task)
        let work = try state.withLock { state in
            guard !state.isEnded else {
                throw ToolServiceError.unavailable(service: service.name, reason: "its task has ended")
            }
            if let known = state.starting[index] { return known }
            let new = Task { [weak self] in
                let running = try await service.start(record)
                // Nobody may be left who needs it.
                if self?.keep(running, index) != true { await running.close() }
                return running
            }
            state.starting[index] = new
            return new
        }
        return try await work.value
    }

    private func keep(_ running: any RunningTools, _ index: Int) -> Bool {
        state.withLock { state in
            guard !state.isEnded else { return false }
            state.running[index] = running
            return true
        }
    }

    /// Nothing is started any more.
    /// - Returns: what is to be closed.
    func end() -> [any RunningTools] {
        state.withLock { state in
            state.isEnded = true
            for start in state.starting.values { start.cancel() }
            defer { (state.starting, state.running) = ([:], [:]) }
            return Array(state.running.values)
        }
    }
}

/// A tool that is answered outside the session.
private struct ServiceTool: Tool {
    let specification: ToolSpecification
    let service: Int
    let hosts: HostTools

    /// A call that waits for its turn has not begun.
    var keepsTime: Bool { true }

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        do {
            return try await hosts.running(service, tool: specification.name).call(specification.name, arguments)
        } catch let error as ToolServiceError where error.failsRun {
            TaskServices.current?.fail(error)
            throw error
        }
    }
}
