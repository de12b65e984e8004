import CWorker
@preconcurrency import Dispatch
import Glibc
import Synchronization

/// How a process ended.
public enum ChildEnd: Sendable, Hashable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    init(status: Int32) {
        self = status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .signalled(status & 0x7f)
    }

    /// In words.
    public var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let number): "signal \(number) (\(String(cString: strsignal(number))))"
        }
    }
}

/// A program and all processes that it started: they share a process group, and end with it.
///
/// When the program itself ends, what it left of its group is killed. A process that has made itself a group of its own is
/// not reached.
public final class ChildGroup: Sendable {
    private struct State {
        var end: ChildEnd?
        var actions: [@Sendable (ChildEnd) -> Void] = []
    }

    /// The program's process number, which is also its group's.
    public let pid: pid_t
    private let state = Mutex(State())
    private static let queue = DispatchQueue(label: "retort.children")

    /// Starts a program; parameters and errors as of `ChildProcess.start`.
    public init(
        _ path: String, _ arguments: [String], environment: [String] = [], folder: String? = nil, descriptors: [Int32]
    ) throws(ChildProcessError) {
        pid = try ChildProcess.start(
            path, arguments, environment: environment, folder: folder, descriptors: descriptors)
        let handle = cw_open_process(pid)
        guard handle >= 0 else {
            kill(-pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            throw .cannotStart(path: path, reason: "pidfd_open: \(String(cString: strerror(-handle)))")
        }
        LivingGroups.add(pid)
        let source = DispatchSource.makeReadSource(fileDescriptor: handle, queue: Self.queue)
        source.setCancelHandler { Glibc.close(handle) }
        // Holds the group until its program has ended: somebody must take the end, or it stays a zombie.
        source.setEventHandler { [self] in
            takeEnd()
            source.cancel()
        }
        source.resume()
    }

    /// How the program ended; nil while it runs.
    public var end: ChildEnd? { state.withLock(\.end) }

    /// Sends a signal to all processes of the group. Nothing happens when the program has ended.
    public func signal(_ number: Int32) {
        state.withLock { state in
            // Before its end has been taken, the number belongs to no one else.
            if state.end == nil { kill(-pid, number) }
        }
    }

    /// Calls `action` when the program has ended, at once when it already has.
    public func onEnd(_ action: @escaping @Sendable (ChildEnd) -> Void) {
        let end = state.withLock { state in
            if state.end == nil { state.actions.append(action) }
            return state.end
        }
        if let end { action(end) }
    }

    private func takeEnd() {
        let (end, actions) = state.withLock { state in
            kill(-pid, SIGKILL)
            LivingGroups.remove(pid)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            let end = ChildEnd(status: status)
            state.end = end
            defer { state.actions = [] }
            return (end, state.actions)
        }
        for action in actions { action(end) }
    }
}
