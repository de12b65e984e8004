@preconcurrency import Dispatch
import Foundation
import Glibc
import RetortCore
import Synchronization

/// One process of the interpreter: the zygote, or a fork that holds a session's state.
///
/// Calls on one process are made one after the other; `PythonEnvironment` sees to that.
final class PythonProcess: Sendable {
    let channel: FrameChannel
    private let process: Mutex<pid_t>
    private static let helloSeconds = 30.0

    private init(_ channel: FrameChannel, pid: pid_t) {
        self.channel = channel
        process = Mutex(pid)
    }

    deinit { kill() }

    /// Waits for a process's first words.
    static func greeted(_ channel: FrameChannel) async throws -> PythonProcess {
        let timer = Timer(seconds: helloSeconds) { channel.close() }
        defer { timer.cancel() }
        guard let hello = await channel.nextFrame(), hello["op"] == "hello", case .integer(let pid) = hello["pid"]
        else { throw PythonError.protocolBroken("no greeting from a new process") }
        guard hello["version"] == 1 else { throw PythonError.protocolBroken("another protocol version") }
        return PythonProcess(channel, pid: pid_t(pid))
    }

    /// A copy-on-write copy of this process with the same state.
    func fork() async throws -> PythonProcess {
        let (channel, peer) = try FrameChannel.pair()
        defer { Glibc.close(peer) }
        try self.channel.send(["op": "fork"], passing: peer)
        return try await Self.greeted(channel)
    }

    /// Ends the process at once. Its socket is closed, too.
    func kill() {
        let pid = process.withLock { pid in
            defer { pid = 0 }
            return pid
        }
        if pid > 1 { Glibc.kill(pid, SIGKILL) }
        channel.close()
    }
}

extension FrameChannel {
    /// The next frame; nil when the other side is gone.
    func nextFrame() async -> JSONValue? {
        for await frame in frames { return frame }
        return nil
    }
}

/// Calls back once after a time, unless it is cancelled.
final class Timer: Sendable {
    private let source: any DispatchSourceTimer

    init(seconds: Double, _ action: @escaping @Sendable () -> Void) {
        source = DispatchSource.makeTimerSource(queue: .global())
        source.schedule(deadline: .now() + seconds)
        source.setEventHandler(handler: action)
        source.resume()
    }

    func cancel() { source.cancel() }
}
