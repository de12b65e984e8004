import RetortCore
import Synchronization

/// All tools of a domain that are answered outside the agent's session, with the services that run for them.
///
/// A service shared by all tasks is started when the domain is opened and ends with it. A task's own service is started
/// when the task needs it, and ends when nothing of the task's session is left, or with the domain.
final class HostTools: Sendable {
    private struct State {
        /// The services shared by all tasks, by their index.
        var shared: [Int: any RunningTools] = [:]
        var tasks: [ObjectIdentifier: WeakTask] = [:]
        /// The tasks that end services no longer needed.
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

    /// The tools, for any session: a tool that belongs to a task finds its service through the current task.
    var tools: [any Tool] {
        services.enumerated().flatMap { index, service in
            service.specifications.map { ServiceTool(specification: $0, service: index, hosts: self) }
        }
    }

    var isEmpty: Bool { services.isEmpty }

    /// The services of a task. If the task's own state must be made, that happens here.
    /// - Throws: `ToolServiceError.hookFailed`, `unavailable`.
    func begin(_ task: JSONValue) async throws -> TaskServices {
        let own = TaskServices(task, self)
        state.withLock { $0.tasks[ObjectIdentifier(own)] = WeakTask(services: own) }
        for (index, service) in services.enumerated() where service.lifetime == .task && service.hasSetup {
            _ = try await own.running(index)
        }
        return own
    }

    /// What answers for a service's tools, for the current task.
    func running(_ index: Int, tool: String) async throws -> any RunningTools {
        if let shared = state.withLock({ $0.shared[index] }) { return shared }
        guard let task = TaskServices.current else { throw ToolServiceError.noTask(tool: tool) }
        return try await task.running(index)
    }

    /// Ends the services that a task leaves behind.
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

    /// Ends everything and waits until it has ended.
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

/// The services that run outside the session for one task alone.
final class TaskServices: Sendable {
    /// Those of the current task: the session reaches its tools through them.
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

    /// Why the task's run has failed; nil where it has not.
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
                // By now, nobody may need it any more.
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

    /// Allows no further start.
    /// - Returns: what must be closed.
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
