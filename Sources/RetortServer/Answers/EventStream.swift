import Hummingbird
import NIOCore
import RetortCore
import Synchronization

/// Sends an answer as server-sent events (WHATWG HTML, section 9.2) in the answer's own form: in OpenAI's, a `data:`
/// line for each chunk and `[DONE]` at the end, or an error object instead of the rest.
struct EventStream<Form: Answer>: Sendable {
    let answer: Form
    let first: Form.Event
    let events: EventCursor<Form.Event>
    let includesUsage: Bool
    let context: ServerContext
    /// The longest a client may take to read a piece, in seconds.
    let seconds: Double

    /// The response; nothing is sent before the body is written.
    var response: Response {
        Response(
            status: .ok,
            headers: [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache"],
            body: ResponseBody { writer in
                let reader = SlowReader(context.channel, seconds: seconds)
                defer { reader.stop() }
                try await send(to: &writer, reader)
                try await writer.finish(nil)
            })
    }

    private func send(to writer: inout any ResponseBodyWriter, _ reader: SlowReader) async throws {
        var answer = answer
        do {
            var next: Form.Event? = first
            while let event = next {
                for chunk in try answer.take(event) { try await reader.write(Form.event(chunk), to: &writer) }
                next = try await events.next()
            }
            context.notes.spend(answer.usage)
            if includesUsage { try await reader.write(Form.event(answer.closing(answer.usage.json)), to: &writer) }
            if let last = Form.lastEvent { try await reader.write(last, to: &writer) }
        } catch {
            // Once the client has gone, nobody is left to receive an error.
            guard try await !context.presence().isGone, !reader.isTooSlow else { throw error }
            let told = APIError(error)
            context.notes.fail(told)
            try await reader.write(Form.event(told), to: &writer)
        }
    }
}

/// Watches how long a client takes to read, and closes the connection of a client that has stopped reading.
final class SlowReader: Sendable {
    private struct State {
        var writingSince: ContinuousClock.Instant?
        var isTooSlow = false
    }

    private let state: Box
    private let watch: Task<Void, Never>

    /// The state that the writer and its watch share.
    private final class Box: Sendable { let state = Mutex(State()) }

    init(_ channel: any Channel, seconds: Double) {
        let box = Box()
        state = box
        watch = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(seconds / 4))
                let isStuck = box.state.withLock { state in
                    guard let since = state.writingSince, since.duration(to: .now) > .seconds(seconds) else {
                        return false
                    }
                    state.isTooSlow = true
                    return true
                }
                if isStuck { channel.close(mode: .all, promise: nil) }
            }
        }
    }

    var isTooSlow: Bool { state.state.withLock { $0.isTooSlow } }

    func stop() { watch.cancel() }

    func write(_ event: String, to writer: inout any ResponseBodyWriter) async throws {
        try await write(ByteBuffer(string: event), to: &writer)
    }

    func write(_ piece: ByteBuffer, to writer: inout any ResponseBodyWriter) async throws {
        state.state.withLock { $0.writingSince = .now }
        defer { state.state.withLock { $0.writingSince = nil } }
        try await writer.write(piece)
    }
}
