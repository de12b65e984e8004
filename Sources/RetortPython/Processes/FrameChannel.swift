import CWorker
@preconcurrency import Dispatch
import Foundation
import Glibc
import RetortCore
import Synchronization

/// Something that a step receives from its process.
enum WorkerEvent: Sendable {
    /// A frame that the process sent, not decoded yet.
    case bytes(Data)
    /// A frame that the process sent, and its length.
    case frame(JSONValue, bytes: Int)
    /// The process waits for permission to change a file.
    case filesHeld
}

/// One end of a socket to a worker: length-prefixed JSON frames, read as they arrive.
///
/// The socket is the sender's identity; nothing in a frame says who it is from. One queue watches all sockets, so a
/// thousand waiting sessions block no thread.
final class FrameChannel: Sendable {
    static let queue = DispatchQueue(label: "retort.python")
    private static let frameLimit = 8 << 20
    /// The most bytes a worker may send before it is spoken to again.
    private static let turnLimit = 16 << 20
    private static let sendSeconds: Int32 = 10

    /// Events of the worker; they end when the worker has closed its end or has broken the rules.
    private let events: AsyncStream<WorkerEvent>
    private let continuation: AsyncStream<WorkerEvent>.Continuation
    private let descriptor: Int32
    private let source: any DispatchSourceRead
    private let state = Mutex(State())
    private let sending = Sending()
    /// The queue on which messages wait for a worker that does not read.
    private let slow = DispatchQueue(label: "retort.python.slow")

    /// The writers of the socket. It is closed when the last one is done, since its number may be reused at once.
    private final class Sending: Sendable {
        struct State {
            var waiting = 0
            var isClosed = false
        }

        let state = Mutex(State())
    }

    private struct State {
        var buffer = Data()
        var isClosed = false
        var hasBrokenRules = false
        var turnBytes = 0
        var unread = 0
        var pid: pid_t?
        var passed: Int32?
    }

    /// Takes ownership of a connected socket.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        _ = cw_prepare(descriptor, Self.sendSeconds)
        (events, continuation) = AsyncStream<WorkerEvent>.makeStream()
        source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: Self.queue)
        source.setCancelHandler { [continuation, sending] in
            let isFree = sending.state.withLock { state in
                state.isClosed = true
                return state.waiting == 0
            }
            // Ends a write that waits.
            shutdown(descriptor, Int32(SHUT_RDWR))
            if isFree { Glibc.close(descriptor) }
            continuation.finish()
        }
        source.setEventHandler { [weak self] in self?.receive() }
        source.resume()
    }

    deinit {
        close()
        if let passed = takePassed() { Glibc.close(passed) }
    }

    /// Closes our end; the events end.
    func close() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isFirst { source.cancel() }
    }

    /// The id of the process that wrote first, as reported by the kernel.
    var pid: pid_t? { state.withLock(\.pid) }

    /// Whether the channel was closed because of what arrived over it.
    var hasBrokenRules: Bool { state.withLock(\.hasBrokenRules) }

    /// The descriptor that came with the first bytes. The caller must close it.
    func takePassed() -> Int32? {
        state.withLock { state in
            defer { state.passed = nil }
            return state.passed
        }
    }

    /// Adds an event of the host's own to the stream.
    func note(_ event: WorkerEvent) {
        state.withLock { $0.unread += 1 }
        continuation.yield(event)
    }

    /// Whether the worker has sent something that nobody has read yet: if it waits, it waits for us.
    var hasUnread: Bool { state.withLock { $0.unread > 0 } }

    private func receive() {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        var pid: pid_t = 0
        var passed: Int32 = -1
        let isFirst = state.withLock { $0.pid == nil }
        let count =
            isFirst
            ? cw_receive(descriptor, &chunk, chunk.count, &pid, &passed)
            : cw_receive(descriptor, &chunk, chunk.count, &pid, nil)
        if count == -Int(EAGAIN) || count == -Int(EINTR) { return }
        guard count > 0 else { return close() }
        let received = state.withLock { state -> [Data]? in
            if isFirst {
                state.pid = pid
                state.passed = passed >= 0 ? passed : nil
            }
            state.turnBytes += count
            state.buffer.append(contentsOf: chunk[..<count])
            let frames = state.turnBytes <= Self.turnLimit ? Self.takeFrames(&state.buffer) : nil
            state.hasBrokenRules = frames == nil
            state.unread += frames?.count ?? 0
            return frames
        }
        guard let received else { return close() }
        for frame in received { continuation.yield(.bytes(frame)) }
    }

    /// The complete frames at the start of the buffer, or nil when one is too long. They are only cut here, and
    /// decoded by the task that waits for them, because all sessions share this queue.
    private static func takeFrames(_ buffer: inout Data) -> [Data]? {
        var frames: [Data] = []
        var start = buffer.startIndex
        while buffer.endIndex - start >= 4 {
            let length = buffer[start..<start + 4].reversed().reduce(0) { $0 << 8 | Int($1) }
            guard length <= frameLimit else { return nil }
            guard buffer.endIndex - start >= 4 + length else { break }
            frames.append(Data(buffer[start + 4..<start + 4 + length]))
            start += 4 + length
        }
        if start > buffer.startIndex { buffer = Data(buffer[start...]) }
        return frames
    }

    /// Sends a frame, with a descriptor for the worker to keep when one is given.
    ///
    /// Bytes that the socket does not take at once, because the worker does not read, are written on a separate
    /// thread.
    func send(_ frame: JSONValue, passing passed: Int32 = -1) async throws {
        let body = Data(ExactJSON.text(frame).utf8)
        let message = withUnsafeBytes(of: UInt32(body.count).littleEndian) { Data($0) } + body
        let isOpen = state.withLock { state in
            state.turnBytes = 0
            return !state.isClosed
        }
        guard isOpen else { throw PythonError.protocolBroken("its socket is closed") }
        let sent = sending.state.withLock { state -> Int in
            guard !state.isClosed else { return -Int(EPIPE) }
            let sent =
                state.waiting > 0
                ? 0
                : message.withUnsafeBytes { bytes in
                    bytes.baseAddress.map { cw_send_now(descriptor, $0, bytes.count, passed) } ?? 0
                }
            if sent >= 0, sent < message.count { state.waiting += 1 }
            return sent
        }
        if sent == message.count { return }
        guard sent >= 0 else { throw PythonError.protocolBroken(String(cString: strerror(Int32(-sent)))) }
        let status = await finish(message.dropFirst(sent), passing: sent == 0 ? passed : -1)
        guard status == 0 else { throw PythonError.protocolBroken(String(cString: strerror(status))) }
    }

    /// Writes the rest of a message after those that already wait.
    private func finish(_ rest: Data, passing passed: Int32) async -> Int32 {
        await withCheckedContinuation { continuation in
            slow.async { [descriptor, sending] in
                let status = rest.withUnsafeBytes { bytes in
                    bytes.baseAddress.map { cw_send(descriptor, $0, bytes.count, passed) } ?? 0
                }
                let isLast = sending.state.withLock { state in
                    state.waiting -= 1
                    return state.isClosed && state.waiting == 0
                }
                if isLast { Glibc.close(descriptor) }
                continuation.resume(returning: status)
            }
        }
    }

    /// The next event; nil when the other side has closed its end.
    func next() async -> WorkerEvent? {
        for await event in events {
            state.withLock { $0.unread -= 1 }
            guard case .bytes(let bytes) = event else { return event }
            // Values keep their types, and no number can crash this process.
            if let frame = try? ExactJSON.value(of: bytes) { return .frame(frame, bytes: bytes.count) }
            state.withLock { $0.hasBrokenRules = true }
            close()
            return nil
        }
        return nil
    }

    /// Whether our end is closed.
    var isClosed: Bool { state.withLock(\.isClosed) }

    /// The next frame within a time limit, after which the channel is closed.
    /// - Returns: nil when the channel is closed; a frame that arrived in time but is read too late is no longer of
    ///   use.
    func nextFrame(seconds: Double) async -> JSONValue? {
        let timer = Alarm(seconds: seconds) { [weak self] in self?.close() }
        defer { timer.cancel() }
        while let event = await next() {
            guard case .frame(let frame, _) = event else { continue }
            timer.cancel()
            return isClosed ? nil : frame
        }
        return nil
    }

    /// A pair of connected sockets: our end, and one to pass to a process.
    static func pair() throws -> (channel: FrameChannel, peer: Int32) {
        var ours: Int32 = -1
        var theirs: Int32 = -1
        let status = cw_socket_pair(&ours, &theirs)
        guard status == 0 else { throw PythonError.protocolBroken(String(cString: strerror(status))) }
        return (FrameChannel(ours), theirs)
    }
}
