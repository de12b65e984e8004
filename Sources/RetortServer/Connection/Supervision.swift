import Hummingbird
import NIOCore
import NIOHTTP1
import RetortCore
import Synchronization

/// Runs work within a time limit.
/// - Throws: `late` when the time is up.
func withTimeLimit<Value: Sendable>(
    seconds: Double, late: APIError, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    guard let value = try await withTimeLimit(seconds: seconds, work) else { throw late }
    return value
}

extension ServerContext {
    /// Runs work for as long as the client is there to receive the answer.
    /// - Throws: `CancellationError` when it has gone.
    func whilePresent<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let presence = try await presence()
        let task = Task { try await work() }
        presence.onLeave { task.cancel() }
        defer { presence.onLeave(nil) }
        return try await task.ownedValue()
    }

    /// The events of work that runs while somebody reads them, the client is there and the register is open. Work
    /// whose unread events exceed `limit` bytes ends with an error.
    func events<Event: BufferedEvent>(
        _ register: WorkRegister, limit: Int,
        _ work: @escaping @Sendable (_ yield: @escaping @Sendable (Event) throws -> Void) async throws -> Void
    ) -> EventCursor<Event> {
        let (stream, continuation) = AsyncThrowingStream<Event, any Error>.makeStream()
        let backlog = Backlog(limit: limit)
        let number = register.begin()
        let task = Task {
            defer { register.end(number) }
            do {
                try await whilePresent {
                    try await work { event in
                        try backlog.add(event.bytes)
                        continuation.yield(event)
                    }
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
        register.set(number, task)
        continuation.onTermination = { _ in task.cancel() }
        return EventCursor(stream, backlog)
    }

    /// Reads a request's body.
    /// - Throws: `APIError` when it is too long, too slow, or not JSON.
    func body(of request: Request, _ options: ServerOptions) async throws -> [UInt8] {
        try request.requireJSON()
        let limit = options.maximumBodyBytes
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit {
            throw APIError.tooLarge(limit: limit)
        }
        let seconds = options.clientSeconds
        do {
            let buffer = try await withTimeLimit(seconds: seconds, late: .slowClient(seconds: seconds)) {
                try await request.body.collect(upTo: limit)
            }
            return Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw APIError.tooLarge(limit: limit)
        } catch let error as HTTPError where error.status == .contentTooLarge {
            throw APIError.tooLarge(limit: limit)
        } catch let error as HTTPParserError {
            throw APIError.invalid("the body is not as its head says: \(error)", code: "invalid_body")
        }
    }
}

extension Request {
    /// A page in a browser can send other content types to any address without asking first (CORS preflight).
    /// - Throws: `APIError` when the body is not declared as JSON.
    func requireJSON() throws(APIError) {
        let type = headers[.contentType]?.lowercased() ?? ""
        guard type.hasPrefix("application/json") else { throw .notJSON }
    }
}

/// The work in progress, so that all of it can be ended.
final class WorkRegister: Sendable {
    private struct State {
        /// The tasks by number; nil stands for work that is about to begin.
        var tasks: [Int: Task<Void, Never>?] = [:]
        var next = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    /// How much work is in progress.
    var count: Int { state.withLock { $0.tasks.count } }

    /// A number for work that is about to begin.
    func begin() -> Int {
        state.withLock { state in
            state.next += 1
            state.tasks[state.next] = .some(nil)
            return state.next
        }
    }

    /// Registers the task of the work, which may have ended already.
    func set(_ number: Int, _ task: Task<Void, Never>) {
        let isClosed = state.withLock { state in
            if state.tasks.keys.contains(number) { state.tasks[number] = task }
            return state.isClosed
        }
        if isClosed { task.cancel() }
    }

    func end(_ number: Int) { _ = state.withLock { $0.tasks.removeValue(forKey: number) } }

    /// Cancels the work in progress and all later work.
    func close() {
        let tasks = state.withLock { state in
            state.isClosed = true
            return state.tasks.values
        }
        for task in tasks { task?.cancel() }
    }
}

/// A position in a stream of events that can be handed on: the first event is awaited before the answer's status is
/// known.
actor EventCursor<Event: BufferedEvent> {
    private var iterator: AsyncThrowingStream<Event, any Error>.Iterator
    private let backlog: Backlog

    init(_ stream: AsyncThrowingStream<Event, any Error>, _ backlog: Backlog) {
        iterator = stream.makeAsyncIterator()
        self.backlog = backlog
    }

    /// The next event, or nil after the last.
    /// - Throws: the work's error, or `CancellationError`.
    func next() async throws -> Event? {
        var iterator = iterator
        let event = try await iterator.next(isolation: self)
        // A stream whose reader is cancelled just ends, without an error.
        guard let event else {
            try Task.checkCancellation()
            return nil
        }
        backlog.remove(event.bytes)
        return event
    }
}
