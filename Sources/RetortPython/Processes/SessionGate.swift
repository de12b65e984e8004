import CWorker
@preconcurrency import Dispatch
import Glibc
import Synchronization

/// Decides on the operations for which a session's processes need permission: forking, and changing files.
///
/// The kernel stops the process until it is answered. A fork is allowed only when the host has asked that very
/// process for one. A file change is allowed only for a process whose step counts; a candidate's waits until the
/// candidate has been chosen.
final class SessionGate: Sendable {
    private struct State {
        var forks: [pid_t: Int] = [:]
        var writers: Set<pid_t> = []
        /// Candidates, with the action to call when one of them wants to change a file.
        var candidates: [pid_t: @Sendable () -> Void] = [:]
        var held: [pid_t: [UInt64]] = [:]
    }

    private let listener: Int32
    private let source: any DispatchSourceRead
    private let state = Mutex(State())

    /// Takes ownership of a seccomp listener.
    init(listener: Int32) {
        self.listener = listener
        source = DispatchSource.makeReadSource(fileDescriptor: listener, queue: FrameChannel.queue)
        source.setCancelHandler { Glibc.close(listener) }
        source.setEventHandler { [weak self] in self?.answerAll() }
        source.resume()
    }

    deinit { source.cancel() }

    func close() { source.cancel() }

    /// Allows one fork of a process.
    func expectFork(of pid: pid_t) { state.withLock { $0.forks[pid, default: 0] += 1 } }

    /// Withdraws all permissions to fork from a process that cannot fork.
    func forgetForks(of pid: pid_t) { state.withLock { $0.forks[pid] = nil } }

    /// Holds back a candidate's file changes, and calls `tell` when there is one.
    func holdFiles(_ pid: pid_t, _ tell: @escaping @Sendable () -> Void) {
        state.withLock { $0.candidates[pid] = tell }
    }

    /// Lets a process change files, and resumes a change that was held back.
    func allowFiles(_ pid: pid_t) {
        let held = state.withLock { state in
            state.writers.insert(pid)
            state.candidates[pid] = nil
            return state.held.removeValue(forKey: pid) ?? []
        }
        for request in held { _ = cw_answer_request(listener, request, 0) }
    }

    /// Forgets a process that has ended.
    func forget(_ pid: pid_t) {
        state.withLock { state in
            state.forks[pid] = nil
            state.writers.remove(pid)
            state.candidates[pid] = nil
            state.held[pid] = nil
        }
    }

    private func answerAll() {
        var request = cw_request()
        while true {
            let status = cw_next_request(listener, &request)
            // All processes of the session are gone.
            if status == EPIPE { return source.cancel() }
            guard status == 0 else { return }
            answer(request)
        }
    }

    private func answer(_ request: cw_request) {
        let (verdict, tell) = state.withLock { state -> (Int32?, (@Sendable () -> Void)?) in
            if request.kind == CW_REQUEST_FORK {
                guard let left = state.forks[request.pid], left > 0 else { return (EPERM, nil) }
                state.forks[request.pid] = left > 1 ? left - 1 : nil
                return (0, nil)
            }
            if state.writers.contains(request.pid) { return (0, nil) }
            guard let tell = state.candidates[request.pid] else { return (EROFS, nil) }
            state.held[request.pid, default: []].append(request.id)
            return (nil, tell)
        }
        if let verdict { _ = cw_answer_request(listener, request.id, verdict) }
        tell?()
    }
}
