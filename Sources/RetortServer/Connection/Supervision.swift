import Hummingbird
import NIOCore
import RetortCore
import Synchronization

/// Does work within a time limit.
/// - Throws: `late` when the time is up.
func withTimeLimit<Value: Sendable>(
    seconds: Double, late: APIError, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    guard let value = try await withTimeLimit(seconds: seconds, work) else { throw late }
    return value
}

extension ServerContext {
    /// Does work for as long as the client is there to get the answer.
    /// - Throws: `CancellationError` when it has gone.
    func whilePresent<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let presence = try await presence()
        let task = Task { try await work() }
        presence.onLeave { task.cancel() }
        defer { presence.onLeave(nil) }
        return try await task.ownedValue()
    }

    /// Events of work that goes on while somebody reads them and the client is there, unless all work is ended. Work whose
    /// events are not read ends with an error once they take more than `limit` bytes.
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
        let type = request.headers[.contentType]?.lowercased() ?? ""
        // A page in a browser can send other types to any address without asking first.
        guard type.hasPrefix("application/json") else { throw APIError.notJSON }
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
        }
    }
}

/// The work under way, so that all of it can be ended.
final class WorkRegister: Sendable {
    private struct State {
        /// Nil is work that begins.
        var tasks: [Int: Task<Void, Never>?] = [:]
        var next = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    /// A number for work that is about to begin.
    func begin() -> Int {
        state.withLock { state in
            state.next += 1
            state.tasks[state.next] = .some(nil)
            return state.next
        }
    }

    /// Names the work's task, which may already have ended.
    func set(_ number: Int, _ task: Task<Void, Never>) {
        let isClosed = state.withLock { state in
            if state.tasks.keys.contains(number) { state.tasks[number] = task }
            return state.isClosed
        }
        if isClosed { task.cancel() }
    }

    func end(_ number: Int) { _ = state.withLock { $0.tasks.removeValue(forKey: number) } }

    /// Cancels what is under way and all that comes.
    func close() {
        let tasks = state.withLock { state in
            state.isClosed = true
            return state.tasks.values
        }
        for task in tasks { task?.cancel() }
    }
}

/// A place in a stream of events that may be passed on: the first event is awaited before an answer's status is known.
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
        // A stream whose reader is cancelled just ends.
        guard let event else {
            try Task.checkCancellation()
            return nil
        }
        backlog.remove(event.bytes)
        return event
    }
}
