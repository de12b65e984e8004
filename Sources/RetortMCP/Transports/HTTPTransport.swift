import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import RetortCore
import RetortWeb
import Synchronization

/// A server at an address: streamable HTTP (2025-11-25, Transports).
///
/// Each message is posted. The answer to a request is JSON or a stream of events; a stream that breaks off is resumed
/// if the server numbers its events. One more stream carries the messages that the server sends on its own, if it
/// offers one.
final class HTTPTransport: MCPTransport {
    private struct State {
        var session: String?
        var version: String?
        var work: [JSONRPCID: Task<Void, Never>] = [:]
        var listener: Task<Void, Never>?
        var isClosed = false
    }

    private let name: String
    private let url: String
    private let client: HTTPClient
    private let headers: HTTPHeaders
    private let options: MCPOptions
    private let mail = Mailbox<MCPArrival>(limit: 64)
    private let state = Mutex(State())

    /// How often in a row a stream is resumed without bringing anything.
    private static let mostResumptions = 5
    private static let sessionHeader = "mcp-session-id"

    /// - Throws: `MCPError.badAddress`.
    init(_ name: String, _ address: MCPAddress, _ options: MCPOptions) throws {
        self.name = name
        self.options = options
        url = address.url
        guard let parsed = URL(string: address.url), ["http", "https"].contains(parsed.scheme?.lowercased() ?? ""),
            parsed.host?.isEmpty == false
        else {
            throw MCPError.badAddress(
                server: name, address: address.url, reason: "it must be like http://127.0.0.1:8000/mcp")
        }
        do {
            client = try Self.clients.get().client(for: parsed)
        } catch {
            throw MCPError.badAddress(server: name, address: address.url, reason: "\(error)")
        }
        var headers: HTTPHeaders = ["user-agent": "retort/\(Retort.version)"]
        for (field, value) in address.headers.sorted(by: { $0.key < $1.key }) {
            headers.replaceOrAdd(name: field, value: value)
        }
        self.headers = headers
    }

    // MARK: The protocol of transports

    func send(_ message: JSONRPCMessage) async throws {
        guard case .request(let id, let method, _) = message else { return try await tell(message) }
        let task = Task {
            do {
                try await ask(message, id, isIntroduction: method == "initialize")
            } catch {
                if !Task.isCancelled { await mail.put(.broken(id, told(error))) }
            }
            state.withLock { _ = $0.work.removeValue(forKey: id) }
        }
        let isClosed = state.withLock { state in
            if !state.isClosed { state.work[id] = task }
            return state.isClosed
        }
        if isClosed { task.cancel() }
    }

    func receive() async throws -> MCPArrival {
        guard let next = await mail.take() else {
            try Task.checkCancellation()
            throw MCPError.closed(server: name)
        }
        return next
    }

    func began(version: String) async {
        state.withLock { $0.version = version }
        let listener = Task { await listen() }
        state.withLock { $0.listener = listener }
    }

    func forget(_ id: JSONRPCID) { state.withLock { $0.work.removeValue(forKey: id) }?.cancel() }

    func close() async {
        let (tasks, session) = state.withLock { state in
            state.isClosed = true
            defer { (state.work, state.listener, state.session) = ([:], nil, nil) }
            return (Array(state.work.values) + [state.listener].compactMap(\.self), state.session)
        }
        for task in tasks { task.cancel() }
        mail.close()
        guard let session else { return }
        var request = request(.DELETE)
        request.headers.replaceOrAdd(name: Self.sessionHeader, value: session)
        // The session is ended even if the caller is cancelled.
        let goodbye = Task { [request, options, client] in
            _ = try? await client.execute(request, timeout: .seconds(Int64(max(options.closeSeconds, 1))))
        }
        await goodbye.value
    }

    // MARK: Exchanges

    /// A server that cannot be reached is reported at once, instead of being tried again until the time is up;
    /// redirects are not followed, which would take keys in the headers to another host.
    private static let clients = Result { () throws(ProxyError) in
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.connectionPool.retryConnectionEstablishment = false
        return try WebClients(configuration)
    }

    private func request(_ method: HTTPMethod) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: url)
        request.method = method
        request.headers = headers
        let (session, version) = state.withLock { ($0.session, $0.version) }
        if let session { request.headers.replaceOrAdd(name: Self.sessionHeader, value: session) }
        if let version { request.headers.replaceOrAdd(name: "mcp-protocol-version", value: version) }
        return request
    }

    private func post(_ message: JSONRPCMessage) async throws -> HTTPClientResponse {
        var request = request(.POST)
        request.headers.replaceOrAdd(name: "content-type", value: "application/json")
        request.headers.replaceOrAdd(name: "accept", value: "application/json, text/event-stream")
        request.body = .bytes(ByteBuffer(string: message.line))
        return try await client.execute(request, deadline: deadline)
    }

    /// Requests have their own limits; this one bounds what a forgotten request could leave behind.
    private var deadline: NIODeadline {
        .now() + .seconds(Int64(max(options.longestCallSeconds, options.callSeconds, options.startSeconds)) + 60)
    }

    /// Sends a message that gets no answer.
    private func tell(_ message: JSONRPCMessage) async throws {
        let seconds = options.startSeconds
        let done: Bool?
        do {
            done = try await withTimeLimit(seconds: seconds) {
                let response = try await self.post(message)
                guard (200..<300).contains(response.status.code) else { throw try await self.refusal(response) }
                return true
            }
        } catch {
            throw told(error)
        }
        if done == nil {
            throw MCPError.late(server: name, what: "a notification", seconds: seconds, remarks: "")
        }
    }

    private func ask(_ message: JSONRPCMessage, _ id: JSONRPCID, isIntroduction: Bool) async throws {
        let response = try await post(message)
        guard response.status == .ok else {
            if response.status.code < 300 {
                throw MCPError.protocolBroken(
                    server: name, reason: "it answers a request with status \(response.status.code) and nothing else")
            }
            throw try await refusal(response)
        }
        if isIntroduction, let session = response.headers.first(name: Self.sessionHeader) {
            guard session.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw MCPError.protocolBroken(server: name, reason: "its session's name is no visible ASCII")
            }
            state.withLock { $0.session = session }
        }
        let type = response.headers.first(name: "content-type")?.lowercased() ?? ""
        if type.hasPrefix("text/event-stream") { return try await follow(response, id) }
        guard type.hasPrefix("application/json") else {
            throw MCPError.protocolBroken(
                server: name, reason: "it answers with the type '\(type)', neither JSON nor a stream of events")
        }
        let limit = options.maximumMessageBytes
        let body: ByteBuffer
        do {
            body = try await response.body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw MCPError.tooLong(server: name, limit: limit)
        }
        guard try await deliver(Array(body.readableBytesView), until: id) else {
            throw MCPError.protocolBroken(server: name, reason: "its answer belongs to another request, or is none")
        }
    }

    /// Passes on the messages in a text.
    /// - Returns: whether the awaited answer is among them.
    private func deliver(_ bytes: [UInt8], until id: JSONRPCID?) async throws -> Bool {
        var isAnswered = false
        for arrival in MCPArrival.arrivals(of: bytes) {
            switch arrival {
            case .message(.response(let other, _)), .message(.failure(let other?, _)):
                if other == id { isAnswered = true }
            default: break
            }
            await mail.put(arrival)
        }
        return isAnswered
    }

    // MARK: Streams

    /// The position in a stream.
    private struct StreamPosition {
        var id: String?
        var pause = 1.0
        var brought = false
    }

    /// Reads a request's stream until the answer, over as many connections as that takes.
    private func follow(_ response: HTTPClientResponse, _ id: JSONRPCID) async throws {
        var response = response
        var (place, failures) = (StreamPosition(), 0)
        while true {
            var reason = "the stream ended"
            do {
                if try await read(response, &place, until: id) { return }
            } catch let error as MCPError {
                throw error
            } catch {
                try Task.checkCancellation()
                reason = WebFault.reason(error)
            }
            failures = place.brought ? 0 : failures + 1
            guard place.id != nil, failures < Self.mostResumptions else {
                throw MCPError.unreachable(server: name, reason: "\(reason) before the answer was there")
            }
            response = try await resumed(&place)
        }
    }

    /// Asks for a stream again, from after its last event.
    private func resumed(_ place: inout StreamPosition) async throws -> HTTPClientResponse {
        try await Task.sleep(for: .seconds(place.pause))
        place.brought = false
        var request = request(.GET)
        request.headers.replaceOrAdd(name: "accept", value: "text/event-stream")
        if let id = place.id { request.headers.replaceOrAdd(name: "last-event-id", value: id) }
        let response = try await client.execute(request, deadline: .distantFuture)
        let type = response.headers.first(name: "content-type")?.lowercased() ?? ""
        guard response.status == .ok, type.hasPrefix("text/event-stream") else { throw try await refusal(response) }
        return response
    }

    /// - Returns: whether the answer has come.
    private func read(
        _ response: HTTPClientResponse, _ place: inout StreamPosition, until id: JSONRPCID?
    ) async throws -> Bool {
        var events = ServerSentEvents(limit: options.maximumMessageBytes)
        for try await bytes in response.body {
            let new: [ServerSentEvent]
            do {
                new = try events.add(bytes.readableBytesView)
            } catch {
                throw MCPError.tooLong(server: name, limit: options.maximumMessageBytes)
            }
            if let last = events.lastID { (place.id, place.brought) = (last, true) }
            if let retry = events.retry { place.pause = min(max(Double(retry) / 1000, 0.05), 30) }
            for event in new where !event.data.isEmpty && event.name ?? "message" == "message" {
                place.brought = true
                if try await deliver(Array(event.data), until: id) { return true }
            }
        }
        return false
    }

    /// Reads the messages that the server sends on its own, for as long as it offers a stream for them.
    private func listen() async {
        var (place, failures) = (StreamPosition(), 0)
        place.pause = 0
        while !Task.isCancelled, failures < Self.mostResumptions {
            do {
                let response = try await resumed(&place)
                if place.pause == 0 { place.pause = 1 }
                _ = try await read(response, &place, until: nil)
            } catch MCPError.http, MCPError.sessionLost {
                // The server offers no such stream, or no longer; a lost session is noticed by the next call.
                return
            } catch let error as MCPError {
                // A flood of messages ends the stream; calls go on.
                return await mail.put(.stray("\(error)"))
            } catch {
                if place.pause == 0 { place.pause = 1 }
            }
            failures = place.brought ? 0 : failures + 1
        }
    }

    // MARK: Errors

    private func refusal(_ response: HTTPClientResponse) async throws -> MCPError {
        let bytes = (try? await response.body.collect(upTo: 64 << 10)).map { Array($0.readableBytesView) } ?? []
        let status = Int(response.status.code)
        if status == 404, state.withLock({ $0.session }) != nil { return .sessionLost(server: name) }
        let json = try? ExactJSON.value(of: bytes, marks: .asTheyAre)
        let message =
            json?["error"]?["message"]?.string ?? json?["error"]?.string ?? String(decoding: bytes, as: UTF8.self)
        let shown = String(message.prefix(300)).trimmingCharacters(in: .whitespacesAndNewlines)
        switch status {
        case 300..<400:
            let place = response.headers.first(name: "location").map { " to \($0.prefix(300))" } ?? ""
            return .http(
                server: name, status: status,
                message: "it redirects\(place), which is not followed; give the address that it leads to")
        case 401, 403:
            return .http(server: name, status: status, message: "\(shown); it may want a header such as Authorization")
        case 404, 405:
            return .http(
                server: name, status: status,
                message: "\(shown); check the address: a server of streamable HTTP answers a POST there")
        default: return .http(server: name, status: status, message: shown)
        }
    }

    private func told(_ error: any Error) -> MCPError {
        error as? MCPError ?? .unreachable(server: name, reason: WebFault.reason(error))
    }
}
