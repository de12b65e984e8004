import AsyncAlgorithms
import HTTPTypes
import Hummingbird
import NIOCore
import RetortCore
import RetortRemote

/// Headers of clients that are passed on. Their keys are this server's, and stay here.
enum PassedHeaders {
    private static let names = ["anthropic-version", "anthropic-beta"]

    static func of(_ request: Request) -> [(name: String, value: String)] {
        names.compactMap { name in
            HTTPField.Name(name).flatMap { request.headers[$0] }.map { (name, $0) }
        }
    }
}

extension ServerCore {
    /// Passes a request on to a replica, and its answer back: the status is known, and another replica can no longer answer, once the first
    /// piece is there.
    func pass(_ request: PassedRequest, to replicas: Replicas, _ context: ServerContext) async throws -> Response {
        guard !isDraining else { throw Admission.Refusal.closed }
        // One part at a time: no more is read of the answer than the client takes.
        let parts = AsyncThrowingChannel<Replicas.Part, any Error>()
        let number = register.begin()
        let task = Task { [register] in
            defer { register.end(number) }
            do {
                try await context.whilePresent { try await replicas.pass(request, to: parts.give) }
                parts.finish()
            } catch {
                parts.fail(error)
            }
        }
        register.set(number, task)
        do {
            var iterator = parts.makeAsyncIterator()
            guard case .head(let head) = try await iterator.next() else {
                throw APIError.server("a replica ended without an answer")
            }
            context.notes.replica(head.replica)
            context.notes.began()
            return PassedAnswer(
                head: head, parts: parts, work: task, operation: request.operation, context: context,
                seconds: options.clientSeconds
            ).response
        } catch {
            task.cancel()
            throw error
        }
    }
}

/// A replica's answer, as the client gets it.
private struct PassedAnswer: Sendable {
    let head: Replicas.Head
    let parts: AsyncThrowingChannel<Replicas.Part, any Error>
    /// Passes the answer on; it is of no use once nobody takes it.
    let work: Task<Void, Never>
    let operation: PassedRequest.Operation
    let context: ServerContext
    /// The longest a client may take to read a piece, in seconds.
    let seconds: Double

    var response: Response {
        var headers = HTTPFields()
        for (name, value) in head.headers {
            if let field = HTTPField.Name(name) { headers[field] = value }
        }
        if head.isEventStream { headers[.cacheControl] = "no-cache" }
        if !head.isEventStream, let length = head.length { headers[.contentLength] = String(length) }
        return Response(
            status: HTTPResponse.Status(code: head.status), headers: headers,
            body: ResponseBody { writer in
                let reader = SlowReader(context.channel, seconds: seconds)
                defer {
                    reader.stop()
                    work.cancel()
                }
                try await send(to: &writer, reader)
                try await writer.finish(nil)
            })
    }

    private func send(to writer: inout any ResponseBodyWriter, _ reader: SlowReader) async throws {
        do {
            for try await part in parts {
                if case .bytes(let bytes) = part { try await reader.write(bytes, to: &writer) }
            }
        } catch {
            let told = APIError(error)
            // An answer in one piece that breaks off shows it by its length; a stream can say it.
            guard head.isEventStream, try await !context.presence().isGone, !reader.isTooSlow else { throw error }
            context.notes.fail(told)
            try await reader.write(event(told), to: &writer)
        }
    }

    private func event(_ error: APIError) -> String {
        operation == .messages
            ? MessagesAnswer<ChatAnswer>.event(error) : ChatAnswer.event(error)
    }
}

extension AsyncThrowingChannel<Replicas.Part, any Error> {
    /// Gives a part, and waits until it is taken.
    /// - Throws: `CancellationError`.
    fileprivate func give(_ part: Replicas.Part) async throws {
        await send(part)
        try Task.checkCancellation()
    }
}
