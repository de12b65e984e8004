@preconcurrency import Dispatch
import RetortCore
import Synchronization

/// A session's first process and its gate. The first process never runs a program: the first step is forked from it,
/// and, inside namespaces, its end is the end of all other processes of the session.
final class PythonSession: Sendable {
    let root: PythonProcess
    private let gate: SessionGate?
    /// Idle processes that are no longer needed. Ending one is as expensive as a short program, so it happens while a
    /// model writes.
    private let retired = Mutex<[PythonProcess]>([])
    private static let mostRetired = 16

    /// - Parameter zygote: the process that is asked for the new session.
    /// - Throws: `PythonError.sandboxTooWeak` when the session could not confine itself to the required level.
    init(from zygote: PythonProcess, requiring level: SandboxLevel) async throws {
        root = try await zygote.fork(["op": "session"])
        gate = root.channel.takePassed().map(SessionGate.init)
        if level > .none, gate == nil {
            throw PythonError.sandboxTooWeak(
                has: .none, needed: level, reason: root.hello["unfiltered"]?.string ?? "no seccomp listener")
        }
    }

    /// Turns tools into functions of the session. Must be called before the first program.
    func offer(_ tools: JSONValue) async throws { try await root.channel.send(["op": "tools", "tools": tools]) }

    deinit { close() }

    /// Whether forks and file changes need the host's permission.
    var hasGate: Bool { gate != nil }

    /// A copy-on-write copy of one of the session's processes.
    ///
    /// Cancellation does not interrupt it: the fork that was asked for still comes, and is then ended.
    /// - Throws: `PythonError` when the process can no longer fork; `CancellationError`.
    func fork(_ process: PythonProcess) async throws -> PythonProcess {
        let work = Task { [gate] in
            gate?.expectFork(of: process.pid)
            do {
                return try await process.fork()
            } catch {
                gate?.forgetForks(of: process.pid)
                throw error
            }
        }
        let fork = try await work.value
        guard !Task.isCancelled else {
            end(fork)
            throw CancellationError()
        }
        return fork
    }

    /// Lets a process of the session change the session's files.
    func allowFiles(_ process: PythonProcess) { gate?.allowFiles(process.pid) }

    /// Holds back a process's file changes; the first one is reported as an event.
    func holdFiles(_ process: PythonProcess) {
        let channel = process.channel
        gate?.holdFiles(process.pid) { channel.note(.filesHeld) }
    }

    /// Ends a process that waits for a program, at the next good moment.
    func retire(_ process: PythonProcess) {
        gate?.forget(process.pid)
        guard process !== root else { return }
        let (isFirst, overdue) = retired.withLock { retired in
            retired.append(process)
            return (retired.count == 1, retired.count > Self.mostRetired ? retired.removeFirst() : nil)
        }
        overdue?.kill()
        guard isFirst else { return }
        FrameChannel.queue.asyncAfter(deadline: .now() + .milliseconds(10)) { [weak self] in self?.endRetired() }
    }

    private func endRetired() {
        let processes = retired.withLock { retired in
            defer { retired = [] }
            return retired
        }
        for process in processes { process.kill() }
    }

    /// Kills a process of the session.
    func end(_ process: PythonProcess) {
        gate?.forget(process.pid)
        guard process !== root else { return }
        process.kill()
    }

    /// Kills all of the session's processes.
    func close() {
        root.kill()
        endRetired()
        gate?.close()
    }
}
