import CWorker
import Foundation
import Glibc
import RetortCore
import RetortProcesses

/// A preloaded CPython from which sessions are forked in milliseconds: numpy, sympy and the usual modules are
/// imported once.
///
/// Model-written code never runs in Retort's own process, and never outside the sandbox unless `requiring: .none`
/// allows it; `SandboxLevel` says what separates it from the host.
///
/// ```swift
/// let python = try await PythonInterpreter()
/// let session = try await python.session(tools: [search])
/// let observation = try await session.perform(.code("print(6 * 7)"))   // "42"
/// ```
public actor PythonInterpreter {
    /// How well programs are confined.
    public nonisolated let level: SandboxLevel
    /// Why the level is not higher; nil when it is the highest.
    public nonisolated let shortfall: String?
    private let zygote: PythonProcess
    private let limits: PythonLimits
    private let firstProcess: pid_t
    private let ready: ReadySessions
    private let pauses = ProgramPauses()
    private let modules: SessionModules
    private var descriptions: [PythonModule.Description]?
    /// The session whose copies grade; all that wait for it share one start.
    private(set) var grading: Task<PythonSession, any Error>?
    /// How many answers that session has graded.
    private var gradings = 0
    /// So many answers are graded in copies of one session. Its limit of processor time counts the forks of all of them.
    static let mostGradings = 100
    private let group: ControlGroup?
    /// The limit of all sessions together, or why there is none.
    private let groupLine: CheckResult

    /// Starts the interpreter.
    /// - Parameters:
    ///   - python: the executable; nil looks at `RETORT_PYTHON`, then for `.retort/python` upwards from the current
    ///     folder and from the program's.
    ///   - limits: the limits of each program and session.
    ///   - requiring: the weakest acceptable sandbox; the strongest available one up to `atMost` is used.
    ///   - readySessions: how many sessions to keep started ahead of need, from the first session on.
    ///   - atMost: the strongest sandbox to try, for tests and for machines where a stronger one is too expensive.
    ///   - modules: users' files whose functions become tools of sessions that work on a task.
    /// - Throws: `PythonError`, including `sandboxTooWeak`.
    public init(
        python: URL? = nil, limits: PythonLimits = PythonLimits(), requiring: SandboxLevel = .restricted,
        readySessions: Int = 2, atMost: SandboxLevel = .isolated,
        modules: [PythonModule] = []
    ) async throws {
        let installation = try await PythonInstallation(python)
        guard let worker = PythonModule.scripts else {
            throw PythonError.cannotStart(
                path: installation.executable.path, reason: "the worker's scripts are missing from the program")
        }
        var shortfall: String?
        var jail: NamespaceJail?
        if atMost >= .isolated {
            do {
                jail = try await NamespaceJail(
                    installation, worker: worker, showing: modules.flatMap(\.readable))
            } catch {
                shortfall = "\(error)"
            }
        } else {
            shortfall = "a weaker sandbox was asked for"
        }
        let script = (jail == nil ? worker.path : NamespaceJail.workerFolder) + "/worker.py"
        let executable = installation.executable.path
        let inner = [jail == nil ? executable : NamespaceJail.inside(executable), "-s", "-P", script]
        let zygote = try await Self.start(jail, inner)
        let visible =
            jail == nil
            ? installation.readable + [worker.path, "/dev/null", "/dev/urandom"] + modules.flatMap(\.readable) : ["/"]
        try await zygote.channel.send(Self.configuration(limits, isolated: jail != nil, readable: visible))
        let level = try await Self.level(of: zygote, isolated: jail != nil)
        if level < requiring {
            zygote.kill()
            throw PythonError.sandboxTooWeak(has: level, needed: requiring, reason: shortfall ?? "no Landlock")
        }
        (group, groupLine) = Self.group(around: zygote, limits)
        self.zygote = zygote
        self.modules = SessionModules(modules: modules, isolated: jail != nil)
        self.level = level
        self.shortfall = level == .isolated ? nil : shortfall ?? "no Landlock"
        self.limits = limits
        ready = ReadySessions(zygote, level: level, target: readySessions)
        firstProcess = ProcessFacts(zygote.pid).status("PPid").flatMap { pid_t($0) } ?? zygote.pid
    }

    /// Must be called before the first session, so that the group contains all of them.
    private static func group(
        around zygote: PythonProcess, _ limits: PythonLimits
    ) -> (ControlGroup?, CheckResult) {
        let name = "control group"
        let memory = limits.totalMemoryBytes ?? Int(ProcessInfo.processInfo.physicalMemory / 4 * 3)
        do {
            let group = try ControlGroup(memoryBytes: memory, processes: limits.totalProcesses)
            try group.take(zygote.pid)
            let detail = "all sessions together have at most \(memory >> 20) MB and \(limits.totalProcesses) processes"
            return (group, .init(name: name, holds: true, detail: detail))
        } catch {
            let detail = "\(error); memory is limited for each process, not for all sessions together"
            return (nil, .init(name: name, holds: false, detail: detail))
        }
    }

    /// The layer of the sandbox that is common to all sessions.
    func groupLayer() -> CheckResult { groupLine }

    private static func start(_ jail: NamespaceJail?, _ inner: [String]) async throws -> PythonProcess {
        let (channel, peer) = try FrameChannel.pair()
        let path = jail?.bubblewrap ?? inner[0]
        do {
            // Closed before waiting, so that an interpreter that cannot start is noticed at once.
            defer { Glibc.close(peer) }
            // Standard error stays connected: a worker that cannot start says why there.
            let pid = try ChildProcess.start(
                path, jail.map { $0.command(inner) } ?? Array(inner.dropFirst()),
                environment: WorkerEnvironment.variables.map { "\($0.name)=\($0.value)" },
                descriptors: [-1, -1, STDERR_FILENO, peer])
            ChildReaper.watch(pid)
        }
        do {
            return try await PythonProcess.greeted(channel)
        } catch {
            throw PythonError.cannotStart(path: path, reason: "the interpreter ended before it was ready")
        }
    }

    private static func configuration(_ limits: PythonLimits, isolated: Bool, readable: [String]) -> JSONValue {
        [
            "op": "configure", "memory": .integer(limits.memoryBytes), "temporary": .integer(limits.temporaryBytes),
            "cpu": .integer(limits.processorSeconds ?? Int(limits.seconds.rounded(.up)) + 2),
            "namespaces": .bool(isolated),
            "readable": .array(readable.map(JSONValue.string)),
            "writable": .array(isolated ? ["/tmp", "/dev/null"] : ["/dev/null"]),
            "calls": .string(filter(CW_FILTER_CALLS)), "noPassing": .string(filter(CW_FILTER_NO_PASSING)),
        ]
    }

    private static func filter(_ which: cw_filter) -> String {
        var bytes = [UInt8](repeating: 0, count: 1 << 14)
        let size = cw_filter_program(which, &bytes, bytes.count)
        precondition(size > 0, "the filter fits its buffer")
        return Data(bytes[..<size]).base64EncodedString()
    }

    /// The level that a throw-away session could reach.
    private static func level(of zygote: PythonProcess, isolated: Bool) async throws -> SandboxLevel {
        let session = try await PythonSession(from: zygote, requiring: .none)
        defer { session.close() }
        guard session.hasGate else { return .none }
        if isolated { return .isolated }
        if case .integer(let version) = session.root.hello["landlock"], version > 0 { return .restricted }
        return .none
    }

    /// A fresh session with its own state, without the users' modules.
    public func session(tools: [any Tool] = []) async throws -> PythonEnvironment {
        let box = ToolBox(tools, limit: limits.toolCalls, seconds: limits.toolSeconds)
        let ready = ready
        let open: @Sendable () async throws -> PythonSession = { try await ready.take(offering: box.frame) }
        return PythonEnvironment(try await open(), tools: box, limits: limits, pauses: pauses, reopen: open)
    }

    /// What the users' modules offer. They are imported once to find out.
    /// - Throws: `PythonError.badModule` with every fault of the first module that has any.
    public func describeModules() async throws -> [PythonModule.Description] {
        if let descriptions { return descriptions }
        let session = try await ready.take(offering: [])
        defer { session.close() }
        let found = try await modules.load(into: session.root)
        descriptions = found
        return found
    }

    /// A fresh session in which the users' modules are imported and the task's state is set up.
    /// - Parameters:
    ///   - tools: tools that the host answers.
    ///   - task: the argument of the modules' `setup`.
    /// - Throws: `PythonError.badModule`, `PythonError.hookFailed`.
    public func session(tools: [any Tool], task: JSONValue) async throws -> PythonEnvironment {
        guard !modules.modules.isEmpty else { return try await session(tools: tools) }
        let loaded = LoadedModules(modules: modules, descriptions: try await describeModules())
        let box = ToolBox(tools, limit: limits.toolCalls, seconds: limits.toolSeconds)
        let (ready, modules) = (ready, modules)
        let open: @Sendable () async throws -> PythonSession = {
            let session = try await ready.take(offering: box.frame)
            session.allowFiles(session.root)
            do {
                try await modules.begin(task, in: session.root)
            } catch {
                session.close()
                throw error
            }
            return session
        }
        return PythonEnvironment(
            try await open(), tools: box, limits: limits, pauses: pauses, modules: loaded, reopen: open)
    }

    /// Lets the last module with a `grade` function judge an answer, in a session in which nothing has happened.
    /// - Parameters:
    ///   - task: the argument that `setup` got.
    ///   - state: what `state` returned when the agent had finished.
    /// - Returns: what `grade` returned.
    /// - Throws: `PythonError.hookFailed`; there is no grade then.
    public func grade(task: JSONValue, answer: JSONValue, state: JSONValue) async throws -> JSONValue {
        let (session, copy) = try await gradingCopy()
        defer { session.end(copy) }
        for (module, description) in zip(modules.modules, try await describeModules()).reversed()
        where description.hooks.contains("grade") {
            return try await module.call(
                "grade", [task, answer, state], in: copy, isolated: modules.isolated, seconds: limits.toolSeconds)
        }
        throw PythonError.protocolBroken("no module grades")
    }

    /// A process to grade in, and the session that it is a copy of. Where that can no longer fork, as on a machine without memory left, a new
    /// one is tried once: the answer is not at fault.
    private func gradingCopy() async throws -> (PythonSession, PythonProcess) {
        do {
            return try await forkGrading()
        } catch is PythonError {
            return try await forkGrading()
        }
    }

    private func forkGrading() async throws -> (PythonSession, PythonProcess) {
        let start = gradingStart()
        do {
            let session = try await start.value
            return (session, try await session.fork(session.root))
        } catch {
            if error is PythonError, grading == start { grading = nil }
            throw error
        }
    }

    private func gradingStart() -> Task<PythonSession, any Error> {
        if let grading, gradings < Self.mostGradings {
            gradings += 1
            return grading
        }
        let start = Task { [ready, modules] in
            let session = try await ready.take(offering: [])
            _ = try await modules.load(into: session.root)
            return session
        }
        (grading, gradings) = (start, 1)
        return start
    }

    /// How many processes the interpreter and its sessions have, seen from outside.
    func processCount() -> Int {
        // Inside namespaces, orphans are adopted by the first process, the zygote's parent.
        let root = level == .isolated ? firstProcess : zygote.pid
        return ProcessFacts.descendants(of: root).count
    }

    /// Closes the connection as the kernel does for a host that was killed.
    func leave() { zygote.channel.close() }

    /// Ends the interpreter and all its sessions.
    public func close() async {
        await ready.close()
        // A session ends with the last that holds it; a start under way does not hold this up.
        grading?.cancel()
        grading = nil
        zygote.kill()
        await group?.remove()
    }
}
