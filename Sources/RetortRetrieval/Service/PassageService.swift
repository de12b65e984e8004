import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import RetortCore
import RetortWeb

/// Searches on a server that speaks Search-R1's protocol: Retort's own, or that of Search-R1, verl or
/// agent-distillation.
///
/// Queries that arrive at the same time go together in one request. A search ends after `seconds` in any case. If the
/// server is down, slow, or answers with something else, the search fails with an error that names the server.
public struct PassageService: PassageSearch {
    /// The address that requests are sent to.
    public let address: String
    private let seconds: Double
    private let joined: JoinedQuestions<Question, Result<[RetrievedPassage], RetrievalError>>

    private struct Question: Hashable, Sendable {
        let query: String
        let limit: Int
    }

    private static let queriesAtOnce = 64
    private static let requestsAtOnce = 4

    /// - Parameters:
    ///   - server: the server's address, such as `http://127.0.0.1:8000`, with or without `/retrieve`.
    ///   - headers: sent with every request, such as a key.
    ///   - seconds: the longest a search may take.
    /// - Throws: `RetrievalError.address` for a text that is not an HTTP address.
    public init(_ server: String, headers: [String: String] = [:], seconds: Double = 60) throws {
        guard let url = URL(string: server), let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme),
            url.host?.isEmpty == false
        else { throw RetrievalError.address(server) }
        let base = server.hasSuffix("/") ? String(server.dropLast()) : server
        address = base.hasSuffix("/retrieve") ? base : "\(base)/retrieve"
        self.seconds = seconds
        let connection = Connection(address: address, headers: headers, seconds: seconds)
        joined = JoinedQuestions(
            remembered: 0, mostAtOnce: Self.queriesAtOnce, passes: Self.requestsAtOnce, mostWaiting: 4096
        ) { questions in
            var lists: [Question: Result<[RetrievedPassage], RetrievalError>] = [:]
            for (limit, group) in Dictionary(grouping: questions, by: \.limit).sorted(by: { $0.key < $1.key }) {
                let found = try await connection.ask(group.map(\.query), limit: limit)
                for (question, list) in zip(group, found) { lists[question] = list }
            }
            return questions.compactMap { lists[$0] }
        }
    }

    /// The best passages that the server finds; none for a query without words.
    /// - Throws: `RetrievalError`, `CancellationError`.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        try await search(all: [query], limit: limit)[0]
    }

    /// The same for several queries.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        // A query without a word would cost a server a search, and crashes some servers.
        let telling = queries.indices.filter { queries[$0].contains { !$0.isWhitespace } }
        var lists: [[RetrievedPassage]] = queries.map { _ in [] }
        guard limit > 0, !telling.isEmpty else { return lists }
        let questions = telling.map { Question(query: queries[$0], limit: limit) }
        let found = try await withDeadline(seconds: seconds) { [joined] in try await joined.answers(questions) }
        guard let found else {
            throw RetrievalError.service(address, reason: "did not answer within \(Connection.text(seconds)) s")
        }
        for (place, list) in zip(telling, found) { lists[place] = try list.get() }
        return lists
    }
}

/// The requests to one server.
private struct Connection: Sendable {
    let address: String
    let headers: [String: String]
    let seconds: Double

    /// The longest reply, in bytes.
    private static let longestReply = 32 << 20
    /// The longest error that is read, in bytes.
    private static let longestError = 1 << 16
    private static let shownError = 200
    /// How often a server that is overloaded or starting is asked.
    private static let attempts = 3

    static func text(_ seconds: Double) -> String {
        seconds == seconds.rounded() && seconds < 1e9 ? String(Int(seconds)) : String(seconds)
    }

    /// Why a request failed.
    private struct Failure: Error {
        let reason: String
        /// Whether another attempt makes sense.
        var mayPass = false
        /// Whether one of several queries may be the cause.
        var mayBeAQuery = false
    }

    /// The result list of each query, or the reason why it has none. If the server refuses the queries together, each
    /// is asked separately, so that one bad query does not spoil the others' answers.
    /// - Throws: `CancellationError`.
    func ask(_ queries: [String], limit: Int) async throws -> [Result<[RetrievedPassage], RetrievalError>] {
        do {
            return try await persistently(queries, limit).map { .success($0) }
        } catch let failure as Failure {
            guard failure.mayBeAQuery, queries.count > 1 else {
                return queries.map { _ in .failure(.service(address, reason: failure.reason)) }
            }
            return try await eachAtOnce(queries, most: 8) { try await ask([$0], limit: limit)[0] }
        }
    }

    private func persistently(_ queries: [String], _ limit: Int) async throws -> [[RetrievedPassage]] {
        for attempt in 1..<Self.attempts {
            do {
                return try await once(queries, limit)
            } catch let failure as Failure where failure.mayPass {
                try await Task.sleep(for: .milliseconds(100 << attempt))
            }
        }
        return try await once(queries, limit)
    }

    private func once(_ queries: [String], _ limit: Int) async throws -> [[RetrievedPassage]] {
        let reply = try await withDeadline(seconds: seconds) { try await exchange(queries, limit) }
        guard let reply else { throw Failure(reason: "did not answer within \(Self.text(seconds)) s") }
        return reply
    }

    private func exchange(_ queries: [String], _ limit: Int) async throws -> [[RetrievedPassage]] {
        var request = HTTPClientRequest(url: address)
        request.method = .POST
        request.headers = ["Content-Type": "application/json", "Accept": "application/json"]
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        // Some servers of this protocol fail when no scores are asked for.
        let body = RetrieveRequest(queries: queries, count: limit, returnsScores: true).json
        request.body = .bytes(ByteBuffer(string: ExactJSON.text(body, marks: .asTheyAre)))
        let response: HTTPClientResponse
        do {
            guard let url = URL(string: address) else { throw Failure(reason: "has no address") }
            let client = try Self.clients.get().client(for: url)
            response = try await client.execute(request, timeout: .nanoseconds(Int64(min(seconds, 1e6) * 1e9)))
        } catch {
            try Task.checkCancellation()
            throw Failure(reason: "cannot be reached: \(Self.shown(WebFault.reason(error)))", mayPass: true)
        }
        guard response.status == .ok else { throw await Self.failure(response) }
        let bytes: ByteBuffer
        do {
            bytes = try await response.body.collect(upTo: Self.longestReply)
        } catch is NIOTooManyBytesError {
            throw Failure(reason: "answered with more than \(Self.longestReply >> 20) MiB")
        } catch {
            try Task.checkCancellation()
            throw Failure(reason: "broke off its answer: \(Self.shown(WebFault.reason(error)))", mayPass: true)
        }
        do {
            let value = try ExactJSON.value(of: bytes.readableBytesView, marks: .asTheyAre)
            return try RetrieveReply.read(value, queries: queries.count, count: limit)
        } catch let error as RetrieveReply.Unreadable {
            throw Failure(reason: Self.shown(error.reason))
        } catch {
            throw Failure(reason: "answered with something else than JSON: \(Self.shown("\(error)"))")
        }
    }

    private static func failure(_ response: HTTPClientResponse) async -> Failure {
        let code = Int(response.status.code)
        let bytes = try? await response.body.collect(upTo: longestError)
        let text = bytes.map { String(buffer: $0) } ?? ""
        let value = try? ExactJSON.value(of: text)
        let detail = value?["detail"]?.text ?? value?["error"]?["message"]?.string ?? value?["error"]?.text ?? text
        return Failure(
            reason: "answered \(code): \(shown(detail))", mayPass: [429, 502, 503].contains(code),
            mayBeAQuery: (400...500).contains(code))
    }

    /// Text from a server, on one line and shortened for display.
    private static func shown(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return line.unicodeScalars.contains { $0.properties.generalCategory == .control }
            ? "(not printable)" : line.shown(upTo: shownError)
    }

    /// A server that cannot be reached is reported at once, instead of being tried again until the time is up;
    /// redirects to other servers are not followed.
    private static let clients = Result { () throws(ProxyError) in
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.redirectConfiguration = .disallow
        return try WebClients(configuration)
    }
}
