import CWorker
import Glibc
import RetortCore
import Synchronization

/// One process of the interpreter: the zygote, a session's first process, or a fork that holds a session's state.
final class PythonProcess: Sendable {
    let channel: FrameChannel
    /// The process's id on the host, as reported by the kernel.
    let pid: pid_t
    /// The process's id among the processes of its session.
    let innerPID: Int
    /// The message that the process introduced itself with.
    let hello: JSONValue
    private let handle: Mutex<Int32?>
    private static let helloSeconds = 120.0
    private static let rehearsalSeconds = 5.0
    /// The longest wait for an answer, in seconds; after it the channel is closed and the state is lost. It is long
    /// because a busy machine is slow.
    private static let endSeconds = 60.0

    private init(_ channel: FrameChannel, pid: pid_t, hello: JSONValue, handle: Int32) {
        self.channel = channel
        self.pid = pid
        self.hello = hello
        if case .integer(let inner) = hello["pid"] { innerPID = inner } else { innerPID = 0 }
        self.handle = Mutex(handle)
    }

    deinit { kill() }

    /// Waits for a process's introduction.
    static func greeted(_ channel: FrameChannel) async throws -> PythonProcess {
        guard let hello = await channel.nextFrame(seconds: helloSeconds), hello["op"] == "hello" else {
            throw PythonError.protocolBroken("no greeting from a new process")
        }
        guard hello["version"] == 2 else { throw PythonError.protocolBroken("another protocol version") }
        guard let pid = channel.pid, pid > 1 else { throw PythonError.protocolBroken("a process without a number") }
        let handle = cw_open_process(pid)
        guard handle >= 0 else { throw PythonError.protocolBroken("a process that ended at once") }
        return PythonProcess(channel, pid: pid, hello: hello, handle: handle)
    }

    /// Asks this process to fork, and gives the fork a socket of its own.
    func fork(_ operation: JSONValue = ["op": "fork"]) async throws -> PythonProcess {
        let (channel, peer) = try FrameChannel.pair()
        do {
            // Closed before waiting, so that the death of the fork is noticed at once.
            defer { Glibc.close(peer) }
            try await self.channel.send(operation, passing: peer)
        }
        // A program may have left this process unable to fork; the time limit for a new session is far too long for
        // that.
        let watch =
            operation["op"] == "fork"
            ? Task { [pid] in
                if await ForkPatience.isSpent(on: pid), !channel.hasUnread { channel.close() }
            } : nil
        defer { watch?.cancel() }
        return try await Self.greeted(channel)
    }

    /// Sends a frame and waits for the answer; nil when none comes in time or the process is gone.
    func ask(_ frame: JSONValue, seconds: Double) async throws -> JSONValue? {
        guard (try? await channel.send(frame)) != nil else { return nil }
        let reply = await channel.nextFrame(seconds: seconds)
        try Task.checkCancellation()
        return reply
    }

    /// Lets the process run a program without effects, so that the first real program finds its pages copied. False
    /// when an earlier program has left the process unable to run one.
    func rehearse() async -> Bool {
        guard (try? await channel.send(["op": "rehearse"])) != nil else { return false }
        return await channel.nextFrame(seconds: Self.rehearsalSeconds)?["op"] == "rehearsed"
    }

    /// How a fork of this process ended: its exit code, or the negative number of the signal; nil when unknown.
    func end(of fork: PythonProcess) async -> Int? {
        guard (try? await channel.send(["op": "end", "pid": .integer(fork.innerPID)])) != nil,
            let answer = await channel.nextFrame(seconds: Self.endSeconds), case .integer(let status) = answer["status"]
        else { return nil }
        return status
    }

    /// Kills the process, and closes its socket.
    func kill() {
        let handle = handle.withLock { handle in
            defer { handle = nil }
            return handle
        }
        if let handle {
            _ = cw_end_process(handle)
            Glibc.close(handle)
        }
        channel.close()
    }
}
