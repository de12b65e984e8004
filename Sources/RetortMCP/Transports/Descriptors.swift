@preconcurrency import Dispatch
import Glibc
import Synchronization

/// Reads a descriptor only when asked to, so that unread bytes stay with the sender.
final class DescriptorReader: Sendable {
    private struct State {
        var waiting: CheckedContinuation<[UInt8], Never>?
        var isClosed = false
        /// The source runs only while somebody waits.
        var isRunning = false
    }

    private let descriptor: Int32
    private let source: any DispatchSourceRead
    private let state = Mutex(State())
    private static let queue = DispatchQueue(label: "retort.mcp.read")
    private static let chunk = 1 << 16

    /// Takes ownership of a descriptor.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: Self.queue)
        source.setCancelHandler { Glibc.close(descriptor) }
        source.setEventHandler { [weak self] in self?.isReady() }
    }

    deinit { close() }

    /// The next bytes, once there are some; empty at the end. Only one reader at a time.
    func read() async -> [UInt8] {
        // Bytes that are available already, or the end, are taken without waiting: a paused source may not report
        // them again.
        if let bytes = state.withLock({ $0.isClosed ? [] : self.available() }) { return bytes }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isClosed = state.withLock { state in
                    guard !state.isClosed, state.waiting == nil else { return true }
                    state.waiting = continuation
                    state.isRunning = true
                    source.resume()
                    return false
                }
                if isClosed { continuation.resume(returning: []) }
            }
        } onCancel: {
            close()
        }
    }

    /// The bytes that can be read now, empty at the end; nil when there are none yet.
    private func available() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: Self.chunk)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        if count < 0 { return errno == EAGAIN || errno == EINTR ? nil : [] }
        return Array(bytes[..<count])
    }

    /// Ends reading; a waiting reader gets the end.
    func close() {
        let waiting = state.withLock { state -> CheckedContinuation<[UInt8], Never>? in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            source.cancel()
            // A suspended source must not be released.
            if !state.isRunning { source.resume() }
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: [])
    }

    private func isReady() {
        let (waiting, bytes) = state.withLock { state -> (CheckedContinuation<[UInt8], Never>?, [UInt8]) in
            guard !state.isClosed, state.waiting != nil, let bytes = available() else { return (nil, []) }
            source.suspend()
            state.isRunning = false
            defer { state.waiting = nil }
            return (state.waiting, bytes)
        }
        waiting?.resume(returning: bytes)
    }
}

/// Writes to a descriptor in order, without making the sender wait.
///
/// Bytes that the reader does not take are kept up to a limit. A thread waits while there is something to write.
final class DescriptorWriter: Sendable {
    /// The reader does not read, and the limit is reached.
    struct Full: Error {}

    private struct State {
        var bytes = 0
        var isClosed = false
        var isBroken = false
    }

    private let descriptor: Int32
    private let limit: Int
    private let queue = DispatchQueue(label: "retort.mcp.write")
    private let state = Mutex(State())

    /// Takes ownership of a descriptor.
    /// - Parameter limit: the most bytes that may wait; a single message may be longer when nothing else waits.
    init(_ descriptor: Int32, limit: Int) {
        self.descriptor = descriptor
        self.limit = limit
    }

    deinit { close() }

    /// Whether the other end was closed.
    var isBroken: Bool { state.withLock(\.isBroken) }

    /// - Throws: `Full` when too many bytes wait.
    func write(_ bytes: [UInt8]) throws(Full) {
        let isFull = state.withLock { state in
            guard state.bytes == 0 || state.bytes + bytes.count <= limit else { return true }
            state.bytes += bytes.count
            return false
        }
        guard !isFull else { throw Full() }
        queue.async { [self] in
            put(bytes)
            state.withLock { $0.bytes -= bytes.count }
        }
    }

    private func put(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty, !state.withLock({ $0.isClosed || $0.isBroken }) {
            // On a socket, a closed reader is reported as an error instead of a signal; other descriptors are not
            // sent to.
            var count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == ENOTSOCK {
                count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, 100)
            } else if errno != EINTR {
                state.withLock { $0.isBroken = true }
            }
        }
    }

    /// Closes the descriptor once everything has been written; `done` is called then.
    func finish(_ done: @escaping @Sendable () -> Void = {}) {
        queue.async { [self] in
            close()
            done()
        }
    }

    /// Closes the descriptor; waiting bytes are not written.
    func close() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        // Ends a write that waits; the descriptor's number may be reused only after that.
        shutdown(descriptor, Int32(SHUT_RDWR))
        queue.async { [descriptor] in Glibc.close(descriptor) }
    }
}
