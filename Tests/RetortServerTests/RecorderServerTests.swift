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
}
