@preconcurrency import Dispatch
import RetortCore
import Synchronization

/// A session's first process and its gate. The first process never runs a program: it is what the first step forks
/// from, and, inside namespaces, the process whose end is the end of all others of the session.
final class PythonSession: Sendable {
    let root: PythonProcess
    private let gate: SessionGate?
    /// Idle processes that nobody needs any more. Ending one costs as much as a short program, so it waits for the time
    /// in which a model writes.
    private let retired = Mutex<[PythonProcess]>([])
    private static let mostRetired = 16

    /// - Parameter zygote: is asked for the new session.
    /// - Throws: `PythonError.sandboxTooWeak` when the session says that it could not confine itself and that is needed.
    init(from zygote: PythonProcess, requiring level: SandboxLevel) async throws {
        root = try await zygote.fork(["op": "session"])
        gate = root.channel.takePassed().map(SessionGate.init)
        if level > .none, gate == nil {
            throw PythonError.sandboxTooWeak(
                has: .none, needed: level, reason: root.hello["unfiltered"]?.string ?? "no seccomp listener")
        }
    }

    /// Makes functions of tools. Before the first program.
    func offer(_ tools: JSONValue) async throws { try await root.channel.send(["op": "tools", "tools": tools]) }

    deinit { close() }

    /// Whether forks and changes of files are asked of the host.
    var hasGate: Bool { gate != nil }

    /// A copy-on-write copy of one of the session's processes.
    ///
    /// Cancellation does not reach into it: what was asked of the process comes, and is then ended.
    /// - Throws: `PythonError` when the process cannot fork any more, `CancellationError`.
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

    /// Holds a process's changes of files back; it is told of the first as an event.
    func holdFiles(_ process: PythonProcess) {
        let channel = process.channel
        gate?.holdFiles(process.pid) { channel.note(.filesHeld) }
    }

    /// Ends a process that waits for a program, soon.
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

    /// Ends a process of the session, at once.
    func end(_ process: PythonProcess) {
        gate?.forget(process.pid)
        guard process !== root else { return }
        process.kill()
    }

    /// Ends all of the session's processes.
    func close() {
        root.kill()
        endRetired()
        gate?.close()
    }
}
