import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import RetortCore
import RetortStore
import RetortTesting
import Testing

@testable import RetortServer

@Suite("Recorder in front of a model's server", .timeLimit(.minutes(30)))
struct RecorderServerTests {
    private struct Setup {
        let address: String
        let upstream: FaultyEndpoint
        let store: TrajectoryStore
    }

    /// Runs a recorder in front of an upstream for as long as `body` lasts.
    private func recording(
        key: String? = nil, _ answer: @escaping @Sendable (ReceivedRequest) throws -> CannedAnswer,
        _ body: (Setup) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-recorder-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try TrajectoryStore(folder.appendingPathComponent("recorded.sqlite"))
        let upstream = try await FaultyEndpoint { try answer($0) }
        var options = RecorderOptions(upstream: "\(upstream.address)/v1")
        (options.port, options.key) = (0, key)
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let server = try RecorderServer(
            try await TrajectoryRecorder(store), options: options,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        ) { continuation.yield($0) }
        let work = Task {
            defer { continuation.finish() }
            try await server.run()
        }
        do {
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body(Setup(address: "http://127.0.0.1:\(port)", upstream: upstream, store: store))
        } catch {
            work.cancel()
            try? await upstream.close()
            throw error
        }
        work.cancel()
        try await upstream.close()
    }

    private func ask(
        _ setup: Setup, _ headers: [(String, String)], at path: String = "/v1/chat/completions"
    ) async throws -> (status: Int, headers: HTTPHeaders, text: String) {
        var request = HTTPClientRequest(url: setup.address + path)
        request.method = .POST
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        request.body = .bytes(ByteBuffer(string: #"{"model": "m", "messages": [{"role": "user", "content": "Q"}]}"#))
        let response = try await HTTPClient.withoutRedirects.execute(request, timeout: .seconds(120))
        let bytes = try await response.body.collect(upTo: 1 << 20)
        return (Int(response.status.code), response.headers, String(buffer: bytes))
    }

    private static let json = ("Content-Type", "application/json")

    @Test(
        "no part of a key is recorded, the client's or the recorder's own, wherever a message is cut",
        arguments: [0, 100, 463, 470, 475, 478, 600], [true, false])
    func keys(before: Int, isClients: Bool) async throws {
        let secret = "sk-secret-0123456789"
        let told: @Sendable (ReceivedRequest) -> CannedAnswer = { request in
            let sent = request.headers["authorization"]?.split(separator: " ").last ?? "nothing"
            return CannedAnswer(["\(String(repeating: "x", count: before))\(sent)"], status: 401)
        }
        try await recording(key: isClients ? nil : secret, told) { setup in
            let own = isClients ? [("Authorization", "Bearer \(secret)")] : []
            let answer = try await ask(setup, [Self.json] + own)
            // To its client the answer passes as it is.
            #expect(answer.status == 401 && answer.text.contains(secret))
            let kept = try await setup.store.entries(in: TrajectoryRecorder.set)
            #expect(kept.count == 1)
            let text = String(decoding: try ExactJSON.encode(kept), as: UTF8.self)
            #expect(text.contains("answered 401") && !text.contains("sk-s"))
        }
    }

    @Test("a redirect is passed on, not followed, so that no key goes to another server")
    func redirects() async throws {
        let other = try await FaultyEndpoint { _ in CannedAnswer(["stolen"]) }
        let place = "\(other.address)/v1/chat/completions"
        try await recording(key: "sk-secret") { _ in
            CannedAnswer([""], status: 307, headers: ["location": place])
        } _: { setup in
            let answer = try await ask(setup, [Self.json])
            #expect(answer.status == 307 && answer.headers.first(name: "location") == place)
        }
        #expect(try await other.tally().requests == 0)
        try await other.close()
    }

    @Test("a page of another site cannot spend the key, and agents can")
    func pages() async throws {
        try await recording(key: "sk-secret") { _ in
            CannedAnswer(["yes"])
        } _: { setup in
            let plain = ("Content-Type", "text/plain")
            for (headers, path, status) in [
                ([Self.json, ("Origin", "https://evil.example")], "/v1/chat/completions", 403),
                ([Self.json, ("Origin", "null")], "/v1/chat/completions", 403),
                ([Self.json, ("Origin", "http://localhost.evil.example")], "/v1/chat/completions", 403),
                ([Self.json, ("Origin", "http://93.184.216.34")], "/v1/chat/completions", 403),
                ([plain, ("Origin", "https://evil.example")], "/v1/embeddings", 403),
                ([plain], "/v1/chat/completions", 415), ([plain], "/v1/messages", 415),
                ([], "/v1/chat/completions", 415), ([plain], "/v1/files", 200),
                ([Self.json, ("Origin", "http://localhost:3000")], "/v1/chat/completions", 200),
                ([("Content-Type", "application/json; charset=utf-8")], "/v1/chat/completions", 200),
            ] as [([(String, String)], String, Int)] {
                let answer = try await ask(setup, headers, at: path)
                #expect(answer.status == status, "\(headers) \(path): \(answer.text)")
            }
            #expect(try await setup.upstream.tally().requests == 3)
            #expect(try await setup.store.entries(in: TrajectoryRecorder.set).count > 0)
        }
    }
}
