import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import RetortCore
import RetortWeb

/// One attempt at one endpoint.
struct EndpointConnection: Sendable {
    let clients: WebClients
    let options: RemoteOptions

    /// The longest reply that is taken in, in bytes.
    private static let longestReply = 64 << 20
    /// How much of an error's text is read, in bytes.
    private static let longestMessage = 64 << 10
    /// How much of it is told, in characters.
    private static let longestShown = 1000
    /// The longest pause that an endpoint can ask for, in seconds.
    private static let longestPause = 86_400.0

    /// What an attempt brought, finished or not.
    struct Result: Sendable {
        var replies: [Int: RemoteReply]
        var failure: RemoteError?
        /// What the samples took that the endpoint worked on and did not finish; nil where there are none.
        var lost: Usage?
        /// How long the endpoint asked to be left alone, in seconds.
        var retryAfter: Double?
    }

    /// Asks for some samples.
    /// - Parameters:
    ///   - body: as JSON.
    ///   - show: is called with text as it comes, by the choice's number.
    /// - Throws: `CancellationError` only.
    func ask(
        _ endpoint: Endpoint, for request: GenerationRequest, samples: Int, body: Data,
        show: @escaping @Sendable (_ choice: Int, _ text: String) -> Void
    ) async throws -> Result {
        let assembly = SharedAssembly(ReplyAssembly(request, samples: samples))
        let start = ContinuousClock.now
        var result = Result(replies: [:])
        do {
            let operation = try options.prompt(request) == nil ? "chat/completions" : "completions"
            let limits = options.limits
            let watchdog = Watchdog(
                total: limits.total, first: ("first byte", limits.firstByte > 0 ? limits.connect + limits.firstByte : 0)
            )
            result.retryAfter = try await watchdog.guarding(endpoint: endpoint.name) {
                try await exchange(
                    endpoint, operation: operation, body: body, watchdog: watchdog, began: assembly.begin
                ) { part in
                    for (choice, text) in assembly.add(part) { show(choice, text) }
                }
            }
        } catch let failure as Refusal {
            result.failure = failure.error
            result.retryAfter = failure.retryAfter
        } catch let error as RemoteError {
            // An endpoint that answers in one piece was at it in silence.
            if case .timeLimit = error { assembly.begin() }
            result.failure = error
        } catch {
            if error is CancellationError || Task.isCancelled { throw CancellationError() }
            result.failure = .connection(endpoint: endpoint.name, reason: WebFault.reason(error))
        }
        let assembled = assembly.value
        result.replies = assembled.replies(seconds: start.duration(to: .now) / .seconds(1))
        if result.replies.count < samples { result.lost = assembled.lost(of: request) }
        return result
    }

    /// An answer other than 200, and the pause it asks for.
    private struct Refusal: Error {
        let error: RemoteError
        let retryAfter: Double?
    }

    private func exchange(
        _ endpoint: Endpoint, operation: String, body: Data, watchdog: Watchdog, began: @Sendable () -> Void,
        take: @Sendable (ReplyPart) -> Void
    ) async throws -> Double? {
        var call = HTTPClientRequest(url: endpoint.address(of: operation))
        call.method = .POST
        call.headers = Self.headers(endpoint)
        call.body = .bytes(ByteBuffer(bytes: body))
        // The watchdog knows the limits; this only bounds what a lost one could leave behind.
        let bound = options.limits.total > 0 ? Int64(options.limits.total) + 60 : 86_400
        let response = try await clients.client(for: endpoint.url).execute(call, timeout: .seconds(bound))
        guard response.status == .ok else { throw try await Self.refusal(response, endpoint) }
        began()
        let type = response.headers.first(name: "content-type") ?? ""
        if type.lowercased().hasPrefix("text/event-stream") {
            try await readStream(response, endpoint, watchdog, take)
        } else {
            let data = try await response.body.collect(upTo: Self.longestReply)
            take(try Self.decode(Data(data.readableBytesView), endpoint))
        }
        return Self.retryAfter(response.headers)
    }

    private func readStream(
        _ response: HTTPClientResponse, _ endpoint: Endpoint, _ watchdog: Watchdog,
        _ take: @Sendable (ReplyPart) -> Void
    ) async throws {
        var events = ServerSentEvents()
        var size = 0
        for try await bytes in response.body {
            watchdog.expect("idle", within: options.limits.idle)
            size += bytes.readableBytes
            guard size <= Self.longestReply else {
                throw RemoteError.malformed(
                    endpoint: endpoint.name, reason: "the reply is longer than \(Self.longestReply) bytes")
            }
            for event in try Self.add(bytes, to: &events, endpoint) {
                if event.data.elementsEqual("[DONE]".utf8) { return }
                take(try Self.decode(event.data, endpoint))
            }
        }
    }

    private static func add(
        _ bytes: ByteBuffer, to events: inout ServerSentEvents, _ endpoint: Endpoint
    ) throws -> [ServerSentEvent] {
        do {
            return try events.add(bytes.readableBytesView)
        } catch {
            throw RemoteError.malformed(endpoint: endpoint.name, reason: error.description)
        }
    }

    static func headers(_ endpoint: Endpoint) -> HTTPHeaders {
        var headers: HTTPHeaders = ["content-type": "application/json", "user-agent": "retort"]
        if let key = endpoint.key { headers.add(name: "authorization", value: key.authorization) }
        return headers
    }

    static func decode(_ data: Data, _ endpoint: Endpoint) throws -> ReplyPart {
        let part: ReplyPart
        do {
            part = try JSONCoding.decoder.decode(ReplyPart.self, from: data)
        } catch {
            // Blotted out before it is cut: a cut through the key would leave its beginning.
            let start = endpoint.key.redacting(String(decoding: data, as: UTF8.self)).prefix(120)
            throw RemoteError.malformed(endpoint: endpoint.name, reason: "not a reply of this protocol: \(start)")
        }
        if let error = part.error {
            throw RemoteError.busy(
                endpoint: endpoint.name, status: 200, message: endpoint.key.redacting(error.message ?? "an error"))
        }
        return part
    }

    private static func refusal(_ response: HTTPClientResponse, _ endpoint: Endpoint) async throws -> Refusal {
        let status = Int(response.status.code)
        let body = (try? await response.body.collect(upTo: longestMessage)).map { Data($0.readableBytesView) } ?? Data()
        struct Envelope: Decodable {
            var error: ReplyPart.Failure?
            var message: String?
        }
        let envelope = try? JSONCoding.decoder.decode(Envelope.self, from: body)
        let text = envelope?.error?.message ?? envelope?.message ?? String(decoding: body, as: UTF8.self)
        let message = String(
            endpoint.key.redacting(text.isEmpty ? response.status.reasonPhrase : text).prefix(longestShown))
        let code = envelope?.error?.code?.string ?? envelope?.error?.type ?? ""
        let error: RemoteError =
            switch status {
            case 429 where code == "insufficient_quota": .quota(endpoint: endpoint.name, message: message)
            // What an endpoint does not implement it will not do later either.
            case 501: .rejected(endpoint: endpoint.name, status: status, message: message)
            case 408, 409, 425, 429, 500..., 300..<400:
                .busy(endpoint: endpoint.name, status: status, message: message)
            default: .rejected(endpoint: endpoint.name, status: status, message: message)
            }
        return Refusal(error: error, retryAfter: retryAfter(response.headers))
    }

    /// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), or the finer `retry-after-ms`.
    static func retryAfter(_ headers: HTTPHeaders, now: Date = Date()) -> Double? {
        if let milliseconds = headers.first(name: "retry-after-ms").flatMap(Double.init) {
            if let pause = pause(milliseconds / 1000) { return pause }
        }
        guard let value = headers.first(name: "retry-after")?.trimmingCharacters(in: .whitespaces) else { return nil }
        if let seconds = Double(value) { return pause(seconds) }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        return format.date(from: value).flatMap { pause(max(0, $0.timeIntervalSince(now))) }
    }

    /// A pause that can be kept: a number of seconds, a day at most.
    private static func pause(_ seconds: Double) -> Double? {
        seconds.isNaN || seconds < 0 ? nil : min(seconds, longestPause)
    }
}

extension APIKey? {
    func redacting(_ text: String) -> String { self?.redact(text) ?? text }
}
