@preconcurrency import Dispatch
import Glibc
import RetortCore
import Synchronization

/// Serves one client over two descriptors, one message per line.
public struct MCPStdioServer: Sendable {
    private let server: MCPServer
    private let input: Int32
    private let output: Int32

    /// - Parameters:
    ///   - input: the descriptor that the client's messages come from; it is left open.
    ///   - output: the descriptor for messages to the client; it is closed at the end. Nothing else may write to it.
    public init(_ server: MCPServer, input: Int32, output: Int32) {
        self.server = server
        self.input = input
        self.output = output
    }

    /// Serves until the input ends or the task is cancelled.
    /// - Throws: `MCPServerError` for a message that is too long, and for a client that does not read;
    ///   `CancellationError`.
    public func run() async throws {
        let session = MCPServerSession(server)
        let writer = DescriptorWriter(output, limit: max(server.limits.maximumMessageBytes * 4, 1 << 20))
        let isStuck = Flag()
        let send: MCPServerSession.Send = { message in
            do {
                try writer.write(Array(message.line.utf8) + [UInt8(ascii: "\n")])
            } catch {
                isStuck.raise()
            }
        }
        var ending: (any Error)?
        var alarm: Alarm?
        await withDiscardingTaskGroup { group in
            do {
                try await read(writer, isStuck) { line in
                    for work in Self.work(on: line, session) { group.addTask { await work(send) } }
                }
            } catch {
                ending = error
            }
            // Running calls may still finish, unless nobody is left to read the answers.
            let isAlone = ending != nil || writer.isBroken
            alarm = Alarm(seconds: isAlone ? 0 : server.limits.drainSeconds) { session.close() }
        }
        alarm?.cancel()
        await withCheckedContinuation { continuation in writer.finish { continuation.resume() } }
        if let ending { throw ending }
    }

    private func read(_ writer: DescriptorWriter, _ isStuck: Flag, _ take: ([UInt8]) -> Void) async throws {
        var lines = LineBuffer(limit: server.limits.maximumMessageBytes)
        let reader = BlockingReader(input)
        while !writer.isBroken {
            let bytes = await reader.read()
            try Task.checkCancellation()
            guard !isStuck.isRaised else { throw MCPServerError.slowClient }
            do {
                try lines.add(bytes).forEach(take)
            } catch {
                throw MCPServerError.tooLong(limit: server.limits.maximumMessageBytes)
            }
            guard !bytes.isEmpty else { return lines.last().map(take) ?? () }
        }
    }

    /// The work that a line asks for; a line that is not a message is answered with an error.
    private static func work(
        on line: [UInt8], _ session: MCPServerSession
    ) -> [@Sendable (_ send: @escaping MCPServerSession.Send) async -> Void] {
        let messages: [Result<JSONRPCMessage, JSONRPCFault>]
        do throws(JSONRPCFault) { messages = try JSONRPCMessage.messages(of: line) } catch {
            messages = [.failure(error)]
        }
        return messages.compactMap { message in
            switch message {
            case .success(let message): return session.take(message)
            case .failure(let fault): return { send in await send(fault.answer) }
            }
        }
    }
}

extension JSONRPCFault {
    /// The response to the sender.
    var answer: JSONRPCMessage { .failure(id, JSONRPCError(code: code, message: "the message is none: \(reason)")) }
}

/// A flag that can only be raised.
private final class Flag: Sendable {
    private let value = Atomic(false)
    func raise() { value.store(true, ordering: .relaxed) }
    var isRaised: Bool { value.load(ordering: .relaxed) }
}

/// Reads a descriptor of any kind that other processes may share, so no mode of it is changed: a thread blocks
/// instead.
private final class BlockingReader: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "retort.mcp.input")

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// The bytes that are available; empty at the end, and when the task is cancelled.
    func read() async -> [UInt8] {
        let wait = Wait()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                wait.begin(continuation)
                queue.async { [descriptor] in
                    var bytes = [UInt8](repeating: 0, count: 1 << 16)
                    var count: Int
                    repeat { count = Glibc.read(descriptor, &bytes, bytes.count) } while count < 0 && errno == EINTR
                    wait.end(Array(bytes.prefix(max(count, 0))))
                }
            }
        } onCancel: {
            wait.end([])
        }
    }

    /// A wait that ends once; it may end before it begins.
    private final class Wait: Sendable {
        private let state = Mutex<(waiting: CheckedContinuation<[UInt8], Never>?, ending: [UInt8]?)>((nil, nil))

        func begin(_ continuation: CheckedContinuation<[UInt8], Never>) {
            let ending = state.withLock { state in
                if state.ending == nil { state.waiting = continuation }
                return state.ending
            }
            if let ending { continuation.resume(returning: ending) }
        }

        func end(_ bytes: [UInt8]) {
            let waiting = state.withLock { state -> CheckedContinuation<[UInt8], Never>? in
                guard state.ending == nil else { return nil }
                state.ending = bytes
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume(returning: bytes)
        }
    }
}
