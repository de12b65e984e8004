import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import RetortCore
import RetortWeb
import Synchronization

/// One attempt to have a replica answer a request.
struct ReplicaCall: Sendable {
    let endpoint: Endpoint
    let clients: WebClients
    let options: Replicas.Options

    /// What came of an attempt.
    enum Result: Sendable {
        /// The answer was passed on, with this status.
        case passed(Int)
        /// It failed while another replica can still answer.
        case failed(Failure)
    }

    /// A failure before anything was passed on.
    struct Failure: Sendable {
        let reason: String
        /// Whether it cannot be reached at all, or has no such model.
        var isDown = false
        /// How long it asked to be left alone, in seconds.
        var pause: Double?
        /// The replica's own answer, where a client can make use of it.
        var answer: (head: Replicas.Head, body: ByteBuffer)?
    }

    private struct Failed: Error {
        let failure: Failure
    }

    typealias Take = @Sendable (Replicas.Part) async throws -> Void

    /// How much of an answer in one piece is held until it is whole, in bytes: until then another replica can answer instead.
    private static let mostHeld = 1 << 20
    /// How much of an error's text is read, in bytes.
    private static let longestMessage = 64 << 10

    /// Sends the request, and passes the answer on.
    /// - Parameters:
    ///   - name: what the client calls the model.
    ///   - known: what the replica calls it; nil asks the replica.
    ///   - found: is called with what it said.
    /// - Throws: `ReplicaError.broken` and `timeLimit`, `CancellationError`, and what `take` throws.
    func pass(
        _ request: PassedRequest, as name: String, known: String?, _ take: @escaping Take,
        found: @escaping @Sendable (String) -> Void
    ) async throws -> Result {
        let silence = request.isStreamed ? options.silenceSeconds : 0
        let watchdog = Watchdog(
            total: options.requestSeconds, first: ("first byte", silence > 0 ? options.connectSeconds + silence : 0))
        let passing = Passing(take, watchdog, silence: silence)
        do {
            return .passed(
                try await watchdog.guarding(endpoint: endpoint.name) {
                    let model: String
                    if let known { model = known } else { model = try await findModel(name) }
                    if known == nil { found(model) }
                    return try await exchange(request, model: model, passing)
                })
        } catch let error as Failed {
            return .failed(error.failure)
        } catch let error as Passing.ClientError {
            throw error.error
        } catch RemoteError.timeLimit(_, "total", let seconds) {
            throw ReplicaError.timeLimit(replica: endpoint.name, seconds: seconds)
        } catch {
            if error is CancellationError || Task.isCancelled { throw CancellationError() }
            let reason = endpoint.key.redacting(Self.reason(error))
            guard passing.hasBegun else {
                return .failed(Failure(reason: "\(endpoint.name): \(reason)", isDown: true))
            }
            throw ReplicaError.broken(replica: endpoint.name, reason: reason)
        }
    }

    /// What the replica calls the model: the client's name, or that of its only model.
    private func findModel(_ name: String) async throws -> String {
        let models = try await RemoteModel.models(at: endpoint, through: clients, seconds: options.connectSeconds * 2)
        if models.contains(name) { return name }
        guard models.count == 1, let only = models.first else {
            let list = models.prefix(8).joined(separator: ", ")
            throw Failed(
                failure: Failure(
                    reason: "\(endpoint.name) has no model '\(name)' among \(models.count) (\(list)); "
                        + "name one with --upstream-model \(name)=MODEL", isDown: true))
        }
        return only
    }

    /// - Returns: the status of the answer that was passed on.
    private func exchange(_ request: PassedRequest, model: String, _ passing: Passing) async throws -> Int {
        var call = HTTPClientRequest(url: endpoint.address(of: request.operation.rawValue))
        call.method = .POST
        call.headers = EndpointConnection.headers(endpoint)
        for (name, value) in request.headers { call.headers.replaceOrAdd(name: name, value: value) }
        call.headers.replaceOrAdd(name: "accept-encoding", value: "identity")
        call.body = .bytes(ByteBuffer(bytes: request.body(model: model)))
        let response = try await send(call)
        let head = head(of: response)
        guard response.status.code < 300 else {
            let body = try await response.body.collect(upTo: Self.longestMessage)
            if let failure = failure(response, head, body) { throw Failed(failure: failure) }
            try await passing.give(head, body)
            return head.status
        }
        if head.isEventStream {
            try await passStream(response, head, passing)
        } else {
            try await passWhole(response, head, passing)
        }
        return head.status
    }

    /// - Returns: the answer, of which the head has come.
    private func send(_ call: HTTPClientRequest) async throws -> HTTPClientResponse {
        let client = clients.client(for: endpoint.url)
        // The watchdog knows the limits; this only bounds what a lost one could leave behind.
        let bound = options.requestSeconds > 0 ? Int64(options.requestSeconds) + 60 : 86_400
        do {
            return try await client.execute(call, timeout: .seconds(bound))
        } catch let error as HTTPClientError where error == .remoteConnectionClosed {
            // Servers close connections that were idle, just when they are used again. A new one tells whether it was that.
            return try await client.execute(call, timeout: .seconds(bound))
        }
    }

    private func passStream(_ response: HTTPClientResponse, _ head: Replicas.Head, _ passing: Passing) async throws {
        var events = WholeEvents()
        for try await piece in response.body {
            if let whole = events.add(piece) { try await passing.give(head, whole) }
        }
        // What stands behind the last whole event is passed on, too: the answer ended as the replica meant it.
        if let rest = events.rest { try await passing.give(head, rest) }
        guard passing.hasBegun else {
            throw Failed(failure: Failure(reason: "\(endpoint.name): the answer is empty"))
        }
    }

    private func passWhole(_ response: HTTPClientResponse, _ head: Replicas.Head, _ passing: Passing) async throws {
        var held: ByteBuffer? = ByteBuffer()
        for try await piece in response.body {
            guard var buffer = held else {
                try await passing.give(head, piece)
                continue
            }
            held = nil
            buffer.writeImmutableBuffer(piece)
            if buffer.readableBytes > Self.mostHeld { try await passing.give(head, buffer) } else { held = buffer }
        }
        guard let held else { return }
        let whole = Replicas.Head(
            status: head.status, headers: head.headers, length: held.readableBytes, replica: head.replica)
        try await passing.give(whole, held)
    }

    /// What an answer other than 2xx says about the replica; nil when it says something about the request.
    private func failure(
        _ response: HTTPClientResponse, _ head: Replicas.Head, _ body: ByteBuffer
    ) -> Failure? {
        let status = head.status
        let text = endpoint.key.redacting(String(buffer: body)).prefix(300)
        let reason = "\(endpoint.name) answered \(status): \(text)"
        switch status {
        // The client knows nothing of this key.
        case 401, 403: return Failure(reason: "\(reason) (--upstream-key names a key's variable)", isDown: true)
        case 300..<400: return Failure(reason: reason, isDown: true)
        case 408, 425, 429, 500...:
            let whole = Replicas.Head(
                status: status, headers: head.headers, length: body.readableBytes, replica: head.replica)
            let pause = EndpointConnection.retryAfter(response.headers)
            return Failure(reason: reason, pause: pause, answer: (whole, body))
        default: return nil
        }
    }

    /// Without the replica's name, which stands before it.
    private static func reason(_ error: any Error) -> String {
        switch error {
        case RemoteError.connection(_, let reason), RemoteError.malformed(_, let reason): reason
        case RemoteError.timeLimit(_, let limit, let seconds): "nothing came for \(seconds) s (\(limit))"
        case RemoteError.rejected(_, let status, let message): "it answered \(status): \(message)"
        default: WebFault.reason(error)
        }
    }

    private func head(of response: HTTPClientResponse) -> Replicas.Head {
        Replicas.Head(
            status: Int(response.status.code),
            headers: ["content-type", "retry-after"].compactMap { name in
                response.headers.first(name: name).map { (name, $0) }
            },
            length: response.headers.first(name: "content-length").flatMap { Int($0) }, replica: endpoint.name)
    }
}

/// Gives an answer's parts to the client, and knows whether there were any.
private final class Passing: Sendable {
    /// What giving a part failed with: not the replica's fault.
    struct ClientError: Error {
        let error: any Error
    }

    private let take: ReplicaCall.Take
    private let watchdog: Watchdog
    private let silence: Double
    private let begun = Mutex(false)

    init(_ take: @escaping ReplicaCall.Take, _ watchdog: Watchdog, silence: Double) {
        (self.take, self.watchdog, self.silence) = (take, watchdog, silence)
    }

    var hasBegun: Bool { begun.withLock { $0 } }

    /// - Parameter head: is given before the first bytes.
    func give(_ head: Replicas.Head, _ bytes: ByteBuffer) async throws {
        let isFirst = begun.withLock { begun in
            defer { begun = true }
            return !begun
        }
        // While the client reads, the replica is not the one that is waited for.
        watchdog.expect("idle", within: 0)
        do {
            if isFirst { try await take(.head(head)) }
            try await take(.bytes(bytes))
        } catch {
            throw ClientError(error: error)
        }
        watchdog.expect("idle", within: silence)
    }
}
