import Foundation
import RetortCore

/// A Python session: state is kept from program to program.
///
/// A program runs in a fork of the session. When it ends, normally or with an exception, the fork becomes the
/// session; when it reaches its time limit or crashes, the fork is discarded and the session stays as it was. A fork
/// copies what is in memory; the files in the private `/tmp` belong to the session as a whole.
public actor PythonEnvironment: Environment {
    private var session: PythonSession
    /// The process that holds the state; nil once closed.
    private var holder: PythonProcess?
    private var stepCount: Int
    /// Forks of the holder that wait for programs or are being made; nil for one that could not be made.
    private var spares: [Task<PythonProcess?, Never>] = []
    /// Programs begun since the last step was settled.
    private var begun = 0
    private var settled: ContinuousClock.Instant?
    private let tools: ToolBox
    private let limits: PythonLimits
    private let pauses: ProgramPauses
    /// The modules with the `state` hook and the session's own functions.
    private let modules: LoadedModules?
    private let reopen: @Sendable () async throws -> PythonSession

    init(
        _ session: PythonSession, holder: PythonProcess? = nil, stepCount: Int = 0, tools: ToolBox,
        limits: PythonLimits, pauses: ProgramPauses, modules: LoadedModules? = nil,
        reopen: @escaping @Sendable () async throws -> PythonSession
    ) {
        self.modules = modules
        self.session = session
        self.holder = holder ?? session.root
        self.stepCount = stepCount
        self.tools = tools
        self.limits = limits
        self.pauses = pauses
        self.reopen = reopen
    }

    /// Runs a program. Whatever the program does is in the observation.
    /// - Throws: `PythonError` when the session is closed or cannot be created; the error of a tool that ends the
    ///   run; `CancellationError`.
    public func perform(_ action: Action) async throws -> Observation {
        let trial = try await begin(action, holdingEffects: false)
        guard case .finished(let observation) = trial.progress else { throw PythonError.closed }
        settle(trial)
        return observation
    }

    /// Runs a program in a fork that counts only when the attempt is committed. Until then, external tools and file
    /// changes wait.
    public func attempt(_ action: Action) async throws -> any Attempt {
        try await begin(action, holdingEffects: true)
    }

    private func begin(_ action: Action, holdingEffects isTentative: Bool) async throws -> PythonAttempt {
        let work: PythonRun.Work
        let start = ContinuousClock.now
        switch action {
        case .code(let program):
            guard program.utf8.count <= limits.programBytes else {
                return PythonAttempt(.finished(tooLong(program)), origin: self)
            }
            work = .program(program)
        case .toolCall(let name, let arguments):
            do {
                _ = try tools.specification(name, own).validated(arguments.object ?? [:])
            } catch {
                return PythonAttempt(.finished(refused(error, name, arguments)), origin: self)
            }
            work = .call(name: name, arguments: arguments)
        case .answer, .giveUp, .unparsable: throw PythonError.notCode
        }
        let (parent, candidate, isNew) = try await forkOrReopen()
        let session = session
        if isTentative { session.holdFiles(candidate) } else { session.allowFiles(candidate) }
        var run = PythonRun(
            candidate, of: parent, tools: tools, limits: limits, notice: isNew ? Self.lostNotice : "")
        let stop: PythonRun.Stop
        do {
            stop = try await withTaskCancellationHandler {
                try await run.start(work, seed: stepCount, holdingEffects: isTentative)
            } onCancel: {
                candidate.kill()
            }
            try Task.checkCancellation()
        } catch {
            session.end(candidate)
            throw error
        }
        return PythonAttempt(stop, of: run, in: candidate, session: session, origin: self, since: start)
    }

    private static let lostNotice =
        "Note: an earlier program damaged the session; this is a new one, without its variables.\n"

    /// A fork to run in. A session that a program has damaged so that it cannot fork is replaced by a new one.
    private func forkOrReopen() async throws -> (parent: PythonProcess, candidate: PythonProcess, isNew: Bool) {
        begun += 1
        if begun == 1, let settled { pauses.note(settled.duration(to: .now)) }
        if let holder, !spares.isEmpty, let spare = await spares.removeFirst().value {
            // Another task may have settled a step meanwhile.
            if self.holder === holder { return (holder, spare, false) }
            session.end(spare)
        }
        for attempt in 0..<3 {
            guard let holder else { throw PythonError.closed }
            if let candidate = try await fork(of: holder) { return (holder, candidate, attempt > 0) }
            // Another task may have replaced it meanwhile.
            guard self.holder === holder else { continue }
            dropSpares()
            session.close()
            session = try await reopen()
            self.holder = session.root
        }
        throw PythonError.protocolBroken("new sessions die at once")
    }

    /// A fork of a process; nil when it can no longer fork.
    private func fork(of holder: PythonProcess) async throws -> PythonProcess? {
        do { return try await session.fork(holder) } catch is PythonError { return nil }
    }

    /// The observation of a call that does not fit its tool.
    private func refused(_ error: any Error, _ name: String, _ arguments: JSONValue) -> Observation {
        let call = ToolCall(name: name, arguments: arguments.object ?? [:], error: "\(error)")
        return Observation(
            text: "Error: \(error)", outcome: .executionError(type: "ToolError", message: "\(error)"), toolCalls: [call]
        )
    }

    private func tooLong(_ program: String) -> Observation {
        let message = "the program has \(program.utf8.count) bytes; \(limits.programBytes) are allowed"
        return Observation(
            text: "Error: \(message)", outcome: .executionError(type: "ProgramTooLong", message: message))
    }

    /// Makes an attempt's process the session, if it can serve as one.
    private func settle(_ trial: PythonAttempt) {
        stepCount += 1
        defer {
            begun = 0
            settled = .now
        }
        guard let process = trial.process, let session = trial.session else { return }
        guard trial.survived, session === self.session, let old = holder else { return session.end(process) }
        dropSpares()
        holder = process
        session.retire(old)
        if pauses.areLong { makeSpares(begun) }
    }

    /// The next step will probably try about as many programs as this one. Their processes are forked and rehearsed
    /// while a model writes the programs.
    private func makeSpares(_ count: Int) {
        guard let holder else { return }
        spares = (0..<min(count, Self.mostSpares)).map { _ in
            Task {
                guard let spare = try? await self.fork(of: holder) else { return nil }
                if await spare.rehearse() { return spare }
                spare.kill()
                return nil
            }
        }
    }

    private static let mostSpares = 8

    private func dropSpares() {
        for spare in spares {
            Task { [session] in
                if let process = await spare.value { session.retire(process) }
            }
        }
        spares.removeAll()
    }

    /// Commits an attempt: its process becomes the session in this environment.
    func commit(_ trial: PythonAttempt) async throws -> Observation {
        if case .finished(let observation) = trial.progress {
            settle(trial)
            return observation
        }
        guard let process = trial.process, let session = trial.session else { throw PythonError.closed }
        session.allowFiles(process)
        let observation: Observation
        let finished: PythonAttempt
        do {
            (observation, finished) = try await withTaskCancellationHandler {
                try await trial.resumed()
            } onCancel: {
                process.kill()
            }
        } catch {
            session.end(process)
            throw error
        }
        settle(finished)
        try Task.checkCancellation()
        return observation
    }

    /// An independent branch with the same state in memory.
    public func fork() async throws -> any Environment {
        guard let holder else { throw PythonError.closed }
        let branch = try await session.fork(holder)
        session.allowFiles(branch)
        return PythonEnvironment(
            session, holder: branch, stepCount: stepCount, tools: tools, limits: limits, pauses: pauses,
            modules: modules, reopen: reopen)
    }

    private var own: [ToolSpecification] { modules?.tools ?? [] }

    /// The state that the session's modules report; nil when no module reports one.
    /// - Throws: `PythonError.hookFailed`.
    public func state() async throws -> JSONValue? {
        guard let modules, modules.tellsState else { return nil }
        guard let holder else { throw PythonError.closed }
        // Runs in a fork, so that looking changes nothing.
        let copy = try await session.fork(holder)
        defer { session.end(copy) }
        return try await modules.modules.state(of: copy, modules.descriptions)
    }

    /// The layers of the session's sandbox.
    func layers() -> [CheckResult] { session.layers }

    /// Discards the session's state; the processes end when no branch needs them any more.
    public func close() {
        guard let holder else { return }
        dropSpares()
        session.end(holder)
        self.holder = nil
    }
}

/// A program that was tried in a fork of a session.
struct PythonAttempt: Attempt {
    let progress: AttemptProgress
    let process: PythonProcess?
    let session: PythonSession?
    let survived: Bool
    private let run: PythonRun?
    private let origin: PythonEnvironment
    private let start: ContinuousClock.Instant

    /// - Parameter since: when the work began.
    init(
        _ stop: PythonRun.Stop, of run: PythonRun? = nil, in process: PythonProcess? = nil,
        session: PythonSession? = nil, origin: PythonEnvironment, since start: ContinuousClock.Instant = .now
    ) {
        switch stop {
        case .finished(var observation):
            observation.seconds = start.duration(to: .now) / .seconds(1)
            progress = .finished(observation)
        case .held(let effect): progress = .held(output: run?.output ?? "", effect: effect)
        }
        survived = run?.survived ?? false
        self.run = run
        self.process = process
        self.session = session
        self.origin = origin
        self.start = start
    }

    /// The attempt at its end, with its effects carried out.
    func resumed() async throws -> (Observation, PythonAttempt) {
        guard var run else { return (Observation(text: "", outcome: .success), self) }
        let observation = try await run.resume()
        let finished = PythonAttempt(
            .finished(observation), of: run, in: process, session: session, origin: origin, since: start)
        return (observation, finished)
    }

    func commit() async throws -> (observation: Observation, environment: any Environment) {
        (try await origin.commit(self), origin)
    }

    func discard() async {
        if let process { session?.retire(process) }
    }
}
