import CWorker
@preconcurrency import Dispatch
import Foundation
import Glibc
import RetortCore
import Synchronization

/// One end of a socket to a worker: length-prefixed JSON frames, read as they come.
///
/// All sockets are watched by one queue, so a thousand sessions hold no thread while they wait.
final class FrameChannel: Sendable {
    private static let queue = DispatchQueue(label: "retort.python")
    private static let frameLimit = 64 << 20
    private static let sendSeconds: Int32 = 10

    /// Frames from the worker; ends when the worker has closed its end.
    let frames: AsyncStream<JSONValue>
    private let descriptor: Int32
    private let source: any DispatchSourceRead
    private let state: Mutex<State>

    private struct State {
        var buffer = Data()
        var isClosed = false
    }

    /// Takes ownership of a connected socket.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        _ = cw_prepare(descriptor, Self.sendSeconds)
        let (stream, continuation) = AsyncStream<JSONValue>.makeStream()
        frames = stream
        state = Mutex(State())
        source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: Self.queue)
        source.setCancelHandler {
            Glibc.close(descriptor)
            continuation.finish()
        }
        source.setEventHandler { [weak self] in self?.receive(continuation) }
        source.resume()
    }

    deinit { close() }

    func close() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isFirst { source.cancel() }
    }

    private func receive(_ continuation: AsyncStream<JSONValue>.Continuation) {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &chunk, chunk.count, Int32(MSG_DONTWAIT))
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else { return close() }
        let received = state.withLock { state -> [JSONValue]? in
            state.buffer.append(contentsOf: chunk[..<count])
            return Self.takeFrames(&state.buffer)
        }
        guard let received else { return close() }
        for frame in received { continuation.yield(frame) }
    }

    /// The complete frames at the start of the buffer, or nil when they are not frames.
    private static func takeFrames(_ buffer: inout Data) -> [JSONValue]? {
        var frames: [JSONValue] = []
        while buffer.count >= 4 {
            let length = buffer.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            guard length <= frameLimit else { return nil }
            guard buffer.count >= 4 + length else { break }
            let body = buffer.dropFirst(4).prefix(length)
            guard let frame = try? JSONCoding.decoder.decode(JSONValue.self, from: Data(body)) else { return nil }
            frames.append(frame)
            buffer = Data(buffer.dropFirst(4 + length))
        }
        return frames
    }

    /// Sends a frame, with a descriptor for the worker to keep when one is given.
    func send(_ frame: JSONValue, passing passed: Int32 = -1) throws {
        let body = try JSONCoding.encoder.encode(frame)
        let message = withUnsafeBytes(of: UInt32(body.count).littleEndian) { Data($0) } + body
        let status = message.withUnsafeBytes { bytes in
            bytes.baseAddress.map { cw_send(descriptor, $0, bytes.count, passed) } ?? 0
        }
        guard status == 0 else { throw PythonError.protocolBroken(String(cString: strerror(status))) }
    }

    /// Connected sockets: ours, and one to hand over.
    static func pair() throws -> (channel: FrameChannel, peer: Int32) {
        var ours: Int32 = -1
        var theirs: Int32 = -1
        let status = cw_socket_pair(&ours, &theirs)
        guard status == 0 else { throw PythonError.protocolBroken(String(cString: strerror(status))) }
        return (FrameChannel(ours), theirs)
    }
}
