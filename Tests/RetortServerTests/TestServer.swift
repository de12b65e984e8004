import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import RetortCore
import RetortLLM
import RetortServer
import ServiceLifecycle
import Synchronization
import Testing

let seedling = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("seedlings/1m")

/// A server on a free port of the loopback interface, and a client to ask it.
struct TestServer: Sendable {
    let port: Int
    let group: ServiceGroup
    private let client: HTTPClient

    struct Reply: Sendable {
        let status: Int
        let headers: [String: String]
        let text: String

        var json: JSONValue { (try? ExactJSON.value(of: text)) ?? .null }

        /// The error's message.
        var message: String { json["error"]?["message"]?.string ?? "" }

        /// The data of server-sent events.
        var events: [String] {
            text.components(separatedBy: "\n\n").filter { !$0.isEmpty }
                .map { $0.hasPrefix("data: ") ? String($0.dropFirst(6)) : "?\($0)" }
        }

        /// The chunks of a stream that ended well.
        var chunks: [JSONValue] { events.dropLast().map { (try? ExactJSON.value(of: $0)) ?? .null } }
    }

    /// Runs `body` against a server, and stops it.
    @discardableResult
    static func run<Result: Sendable>(
        _ catalogue: ModelCatalogue, options change: (inout ServerOptions) -> Void = { _ in },
        logger: Logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
        gauges: @escaping @Sendable () -> [Gauge] = { [] },
        _ body: @Sendable (TestServer) async throws -> Result
    ) async throws -> Result {
        var options = ServerOptions()
        options.port = 0
        options.drainSeconds = 5
        change(&options)
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        // snippet: A server
        let server = RetortServer(
            catalogue, options: options, logger: logger, gauges: gauges, onStart: { continuation.yield($0) })
        let group = ServiceGroup(services: [server], logger: logger)
        let running = Task { try await group.run() }
        // end snippet
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        // A connection for each request of a test, and time for a machine that is busy with other tests.
        var configuration = HTTPClient.Configuration(timeout: .init(connect: .seconds(60)))
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let result: Result
        do {
            result = try await body(TestServer(port: port, group: group, client: client))
        } catch {
            await group.triggerGracefulShutdown()
            _ = await running.result
            try? await client.shutdown()
            throw error
        }
        await group.triggerGracefulShutdown()
        try await running.value
        try await client.shutdown()
        return result
    }

    /// A catalogue with the smallest seedling as `1m`.
    static func seedlingCatalogue() throws -> ModelCatalogue {
        var catalogue = ModelCatalogue()
        try catalogue.add(
            "1m", LocalModel(folder: seedling, identity: "1m", options: .init(prefixTokens: 4096)))
        return catalogue
    }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    func request(_ method: String, _ path: String, _ body: String? = nil, headers: [String: String] = [:])
        -> HTTPClientRequest
    {
        var request = HTTPClientRequest(url: url(path))
        request.method = .init(rawValue: method)
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(string: body))
        }
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        return request
    }

    /// Asks and reads the whole answer.
    func send(_ request: HTTPClientRequest, within seconds: Int64 = 120) async throws -> Reply {
        let response = try await client.execute(request, timeout: .seconds(seconds))
        let body = try await response.body.collect(upTo: 16 << 20)
        return Reply(
            status: Int(response.status.code),
            headers: Dictionary(
                response.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { first, _ in first }),
            text: String(buffer: body))
    }

    func get(_ path: String, headers: [String: String] = [:]) async throws -> Reply {
        try await send(request("GET", path, headers: headers))
    }

    func post(_ path: String, _ body: JSONValue, headers: [String: String] = [:]) async throws -> Reply {
        try await send(request("POST", path, ExactJSON.text(body), headers: headers))
    }

    /// Asks for a chat's answer, with these members besides model and messages.
    func chat(_ text: String, _ members: [String: JSONValue] = [:], model: String = "1m") async throws -> Reply {
        let body: [String: JSONValue] = [
            "model": .string(model), "messages": [["role": "user", "content": .string(text)]], "temperature": 0,
            "max_tokens": 12,
        ]
        return try await post("/v1/chat/completions", .object(body.merging(members) { $1 }))
    }

    /// Starts a request and reads of its answer only the head.
    func open(_ body: JSONValue) async throws -> HTTPClientResponse {
        try await client.execute(
            request("POST", "/v1/chat/completions", ExactJSON.text(body)), timeout: .seconds(120))
    }
}

/// A model that writes at the pace of its test.
actor GatedModel: LanguageModel {
    nonisolated let identity = "gated"
    private var started = 0
    private var cancelled = 0
    private var gates: [AsyncThrowingStream<GenerationEvent, any Error>.Continuation] = []

    nonisolated func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { continuation in
            continuation.onTermination = { reason in
                if case .cancelled = reason { Task { await self.noteCancelled() } }
            }
            Task { await self.begin(continuation) }
        }
    }

    private func begin(_ continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation) {
        started += 1
        gates.append(continuation)
        continuation.yield(.text(sample: 0, "begun "))
    }

    private func noteCancelled() { cancelled += 1 }

    /// Lets everything under way end.
    func release() {
        for gate in gates {
            gate.yield(.text(sample: 0, "done"))
            gate.yield(.finished(sample: 0, Completion(text: "begun done", finish: .endOfTurn)))
            gate.finish()
        }
        gates = []
    }

    /// Lets everything under way fail.
    func fail(_ error: any Error) {
        for gate in gates { gate.finish(throwing: error) }
        gates = []
    }

    /// Waits until so many requests have begun and been cancelled.
    func reach(started: Int, cancelled: Int = 0) async throws {
        // Long enough for a machine that is busy with other tests.
        let end = ContinuousClock.now + .seconds(60)
        while self.started < started || self.cancelled < cancelled, .now < end {
            try await Task.sleep(for: .milliseconds(1))
        }
        #expect(self.started == started)
        #expect(self.cancelled == cancelled)
    }
}

/// Keeps log lines.
final class LogBook: Sendable {
    private let kept = Mutex<[String]>([])

    var lines: [String] { kept.withLock { $0 } }

    var logger: Logger { Logger(label: "test", factory: { _ in Handler(book: self) }) }

    private struct Handler: LogHandler {
        let book: LogBook
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.message) \(metadata) \(event.metadata ?? [:])"
            book.kept.withLock { $0.append(line) }
        }
    }
}
