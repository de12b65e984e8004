@preconcurrency import Dispatch
import Foundation
import Glibc
import RetortCore
import RetortProcesses
import Synchronization

/// A server that runs as a child process: one message per line, over its standard input and output.
///
/// It has its own session and process group, which end with it. The end of its standard error is kept for errors.
final class StdioTransport: MCPTransport {
    private let name: String
    private let options: MCPOptions
    private let group: ChildGroup
    private let input: DescriptorWriter
    private let output: DescriptorReader
    private let errors: ErrorTail
    private let state: Mutex<State>

    private struct State {
        var lines: LineBuffer
        var arrivals: [MCPArrival] = []
    }

    /// Starts the server.
    /// - Throws: `MCPError.cannotStart`.
    init(_ name: String, _ command: MCPCommand, _ options: MCPOptions) throws {
        self.name = name
        self.options = options
        state = Mutex(State(lines: LineBuffer(limit: options.maximumMessageBytes)))
        let own = ProcessInfo.processInfo.environment
        var variables = own.filter { MCPCommand.inheritedVariables.contains($0.key) }
        variables.merge(command.environment) { $1 }
        do {
            if let folder = command.folder {
                var isFolder: ObjCBool = false
                guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
                    throw MCPError.cannotStart(server: name, reason: "there is no folder '\(folder)'")
                }
            }
            let path = try ProgramSearch.find(
                command.program, path: variables["PATH"] ?? "/usr/local/bin:/usr/bin:/bin", folder: command.folder)
            var ends = try PipeEnds()
            // From here on, each end is closed by its owner.
            input = DescriptorWriter(ends.take(\.input), limit: options.maximumMessageBytes)
            output = DescriptorReader(ends.take(\.output))
            errors = ErrorTail(ends.take(\.errors), limit: options.errorBytes)
            defer { ends.closeTheirs() }
            group = try ChildGroup(
                path, command.arguments, environment: variables.map { "\($0.key)=\($0.value)" }.sorted(),
                folder: command.folder, descriptors: ends.theirs)
        } catch let error as ChildProcessError {
            throw MCPError.cannotStart(server: name, reason: "\(error)")
        }
    }

    deinit { group.signal(SIGKILL) }

    func send(_ message: JSONRPCMessage) async throws {
        do {
            try input.write(Array(message.line.utf8) + [UInt8(ascii: "\n")])
        } catch {
            throw MCPError.protocolBroken(server: name, reason: "it does not read what it is sent")
        }
    }

    func receive() async throws -> MCPArrival {
        while true {
            if let next = state.withLock({ $0.arrivals.isEmpty ? nil : $0.arrivals.removeFirst() }) { return next }
            let bytes = await output.read()
            try Task.checkCancellation()
            guard !bytes.isEmpty else { throw await ending() }
            do throws(LineBuffer.TooLong) {
                try state.withLock { state throws(LineBuffer.TooLong) in
                    state.arrivals = try state.lines.add(bytes).flatMap(MCPArrival.arrivals)
                }
            } catch {
                group.signal(SIGKILL)
                throw MCPError.tooLong(server: name, limit: options.maximumMessageBytes)
            }
        }
    }

    /// How the server ended, once it has; a server that only closed its output is ended.
    private func ending() async -> MCPError {
        // Its last output may be the reason.
        let end = await group.end(within: options.closeSeconds)
        if end == nil { group.signal(SIGKILL) }
        await errors.finished(within: 0.5)
        return .ended(
            server: name, how: end?.description ?? "it closed its standard output and went on", errors: errors.text)
    }

    /// Closes the server's input, waits for it to end, then asks it to end, and finally kills it (2025-11-25,
    /// Lifecycle, Shutdown).
    func close() async {
        input.finish()
        // A server that is blocked on its output would not notice that its input has ended.
        output.close()
        if await group.end(within: options.closeSeconds) == nil {
            group.signal(SIGTERM)
            if await group.end(within: 1) == nil { group.signal(SIGKILL) }
        }
        input.close()
        errors.close()
    }
}

extension ChildGroup {
    /// How the program ended; nil when it still runs after this many seconds.
    fileprivate func end(within seconds: Double) async -> ChildEnd? {
        await withCheckedContinuation { continuation in
            let once = Once(continuation)
            let alarm = Alarm(seconds: seconds) { once.resume(nil) }
            onEnd { end in
                alarm.cancel()
                once.resume(end)
            }
        }
    }
}

/// Resumes a continuation at most once.
final class Once<Value: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Value, Never>?>

    init(_ continuation: CheckedContinuation<Value, Never>) { self.continuation = Mutex(continuation) }

    func resume(_ value: sending Value) {
        let waiting = continuation.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        waiting?.resume(returning: value)
    }
}

/// The ends of the three channels to a child process.
private struct PipeEnds {
    var input: Int32 = -1
    var output: Int32 = -1
    var errors: Int32 = -1
    private(set) var theirs: [Int32] = []

    /// A socket for the child's input, because writing to a closed one is reported without a signal, and pipes for
    /// the rest.
    init() throws(ChildProcessError) {
        var pair: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        try Self.check(socketpair(AF_UNIX, kind, 0, &pair))
        (input, theirs) = (pair[0], [pair[1]])
        do throws(ChildProcessError) {
            try Self.check(pipe(&pair))
            output = pair[0]
            theirs.append(pair[1])
            try Self.check(pipe(&pair))
            errors = pair[0]
            theirs.append(pair[1])
        } catch {
            for end in [input, output] + theirs where end >= 0 { Glibc.close(end) }
            throw error
        }
        // Programs that this process starts in other ways must not inherit them.
        for end in [output, errors] + theirs { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    private static func check(_ status: Int32) throws(ChildProcessError) {
        guard status == 0 else {
            throw .cannotStart(path: "pipes to the server", reason: String(cString: strerror(errno)))
        }
    }

    /// Hands an end over to its owner, who closes it.
    mutating func take(_ end: WritableKeyPath<PipeEnds, Int32>) -> Int32 {
        defer { self[keyPath: end] = -1 }
        return self[keyPath: end]
    }

    func closeTheirs() { for end in theirs { Glibc.close(end) } }
}

/// The last bytes that a server wrote to its standard error.
private final class ErrorTail: Sendable {
    private let reader: DescriptorReader
    private let tail = Mutex<(bytes: [UInt8], isCut: Bool)>(([], false))
    private let limit: Int
    private let work = Mutex<Task<Void, Never>?>(nil)

    init(_ descriptor: Int32, limit: Int) {
        self.limit = limit
        let reader = DescriptorReader(descriptor)
        self.reader = reader
        let task = Task { [weak self] in
            while true {
                let bytes = await reader.read()
                guard !bytes.isEmpty else { return }
                self?.add(bytes)
            }
        }
        work.withLock { $0 = task }
    }

    deinit { reader.close() }

    private func add(_ bytes: [UInt8]) {
        tail.withLock { tail in
            tail.bytes += bytes
            if tail.bytes.count > limit {
                tail.bytes.removeFirst(tail.bytes.count - limit)
                tail.isCut = true
            }
        }
    }

    /// Waits until everything has been read, but not for long, since another process may hold the pipe open.
    func finished(within seconds: Double) async {
        guard let task = work.withLock({ $0 }) else { return }
        _ = try? await withDeadline(seconds: seconds, grace: 0) { await task.value }
    }

    var text: String {
        let (bytes, isCut) = tail.withLock { $0 }
        let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return isCut ? "… " + text : text
    }

    func close() { reader.close() }
}
