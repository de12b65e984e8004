import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import RetortCore
import RetortWeb

/// A model behind one or several OpenAI-compatible endpoints: vLLM, SGLang, llama.cpp, `retort serve`, hosted ones.
///
/// Requests are shared out over the endpoints by weight, tried again after failures that may pass, and bounded in number
/// and time. When some samples of a request came whole and others did not, only the others are asked for again.
///
/// ```swift
/// let endpoint = try Endpoint("http://127.0.0.1:8000", model: "qwen", key: APIKey(environment: "TEACHER_KEY"))
/// let model = try RemoteModel([endpoint])
/// let replies = try await model.complete(GenerationRequest(messages: [Message(.user, "Hello")]))
/// ```
public final class RemoteModel: LanguageModel {
    /// The name that records show: the first endpoint's model, unless another was given.
    public let identity: String
    private let connection: EndpointConnection
    private let endpoints: [Endpoint]
    private let pool: EndpointPool
    private let support = EndpointSupport()
    private let logger: Logger

    /// What was asked of an endpoint, and how often it failed.
    public struct Account: Sendable, Hashable {
        /// Host and port.
        public var endpoint: String
        /// Requests that were sent.
        public var requests: Int
        /// Those that failed.
        public var failures: Int
        /// How often it was left alone after failures on end.
        public var rests: Int
    }

    /// - Parameter identity: for records; the first endpoint's model unless given.
    /// - Throws: `RemoteError.configuration` without endpoints.
    public init(_ endpoints: [Endpoint], options: RemoteOptions = RemoteOptions(), identity: String? = nil) throws {
        guard let first = endpoints.first else {
            throw RemoteError.configuration("no endpoint is given; name at least one")
        }
        for endpoint in endpoints { try endpoint.checkKey() }
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(
                connect: options.limits.connect > 0 ? .milliseconds(Int64(options.limits.connect * 1000)) : nil))
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit =
            endpoints.map(\.concurrency).reduce(0, +)
        configuration.connectionPool.retryConnectionEstablishment = false
        let clients = try WebClients(configuration)
        self.identity = identity ?? first.model
        self.endpoints = endpoints
        connection = EndpointConnection(clients: clients, options: options)
        pool = EndpointPool(endpoints, retries: options.retries, queue: options.queue)
        logger = Logger(label: "retort.remote")
    }

    deinit {
        let clients = connection.clients
        Task { await clients.shutdown() }
    }

    private var options: RemoteOptions { connection.options }

    /// Each endpoint's account so far.
    public var accounts: [Account] {
        zip(endpoints, pool.statistics).map { endpoint, statistics in
            Account(
                endpoint: endpoint.name, requests: statistics.requests, failures: statistics.failures,
                rests: statistics.openings)
        }
    }

    // MARK: Asking

    /// The text of a reply that breaks off is shown no further; the finished sample then holds the whole of another.
    public func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { continuation in
            let work = Task {
                do {
                    // Tokens are told before the text that they complete, and a server tells both at once.
                    let showsText = request.report == .none
                    _ = try await gather(request) { told in
                        switch told {
                        case .text(let sample, let text):
                            if showsText { continuation.yield(.text(sample: sample, text)) }
                        case .finished(let sample, let reply):
                            for token in reply.completion.report { continuation.yield(.token(sample: sample, token)) }
                            if !showsText { continuation.yield(.text(sample: sample, reply.completion.text)) }
                            continuation.yield(.finished(sample: sample, reply.completion))
                        case .lost(let samples, let usage): continuation.yield(.lost(samples: samples, usage))
                        }
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in work.cancel() }
        }
    }

    /// Asks and waits for all samples, in sample order.
    public func complete(_ request: GenerationRequest) async throws -> [Completion] {
        try await replies(to: request).map(\.completion)
    }

    /// Asks and waits for all samples, in sample order.
    /// - Parameter show: is called with text as it comes.
    /// - Throws: `RemoteError`, `CancellationError`.
    public func replies(
        to request: GenerationRequest, show: @escaping @Sendable (_ sample: Int, _ text: String) -> Void = { _, _ in }
    ) async throws -> [RemoteReply] {
        try await gather(request) { told in if case .text(let sample, let text) = told { show(sample, text) } }
    }

    /// What is told of a request while it is worked on.
    private enum Told {
        /// Text of a first attempt, as it comes.
        case text(Int, String)
        /// A whole sample.
        case finished(Int, RemoteReply)
        /// What an attempt took that broke off, without the samples that it finished.
        case lost([Int], Usage)
    }

    private func gather(
        _ request: GenerationRequest, _ tell: @escaping @Sendable (Told) -> Void
    ) async throws -> [RemoteReply] {
        let all = Array(0..<request.samples)
        let apart = request.sampling.firstIsGreedy && request.sampling.temperature > 0 && all.count > 1
        guard apart else { return try await ask(request, all, tell) }
        // One request has one temperature.
        async let greedy = ask(request, [0], tell)
        async let drawn = ask(request, Array(all.dropFirst()), tell)
        return try await greedy + drawn
    }

    private func ask(
        _ request: GenerationRequest, _ samples: [Int], _ tell: @escaping @Sendable (Told) -> Void
    ) async throws -> [RemoteReply] {
        var finished: [Int: RemoteReply] = [:]
        var attempt = 0
        let start = ContinuousClock.now
        while true {
            let missing = samples.filter { finished[$0] == nil }
            guard !missing.isEmpty else { break }
            let isFirst = attempt == 0
            let result = try await tryOnce(request, missing, since: start) { sample, text in
                if isFirst { tell(.text(sample, text)) }
            }
            for (sample, reply) in result.replies.sorted(by: { $0.key < $1.key }) { tell(.finished(sample, reply)) }
            finished.merge(result.replies) { first, _ in first }
            if let lost = result.lost { tell(.lost(missing.filter { finished[$0] == nil }, lost)) }
            guard let failure = result.failure else { continue }
            attempt += 1
            guard failure.mayPass else { throw failure }
            guard attempt < options.retries.attempts else {
                throw RemoteError.exhausted(attempts: attempt, last: failure)
            }
            var generator = SystemRandomNumberGenerator()
            // A pause that the endpoint asked for is kept by the pool, while another endpoint may answer; one that asks for
            // none gets ours.
            let asked = result.retryAfter ?? 0
            let pause = asked > 0 ? 0 : options.retries.pause(after: attempt - 1, using: &generator)
            logger.debug(
                "trying again",
                metadata: ["cause": "\(failure.cause)", "attempt": "\(attempt)", "pause": "\(pause)"])
            try await Task.sleep(for: .seconds(pause))
        }
        return samples.compactMap { finished[$0] }
    }

    /// One attempt, on whichever endpoint is free.
    private func tryOnce(
        _ request: GenerationRequest, _ samples: [Int], since start: ContinuousClock.Instant,
        _ show: @escaping @Sendable (Int, String) -> Void
    ) async throws -> EndpointConnection.Result {
        let lease = try await pool.lease(since: start, home: PrefixHome(request))
        var outcome = EndpointPool.Outcome.neutral
        var reason = ""
        defer { pool.release(lease, outcome, reason: reason) }
        let form = support.form(lease.endpoint, for: request, options)
        let body = try RequestBody(
            request, samples: samples, to: lease.endpoint, form: form, options: options
        ).json(tools: request.tools, templateArguments: request.templateArguments)
        var result = try await connection.ask(
            lease.endpoint, for: request, samples: samples.count, body: body
        ) { choice, text in
            if samples.indices.contains(choice) { show(samples[choice], text) }
        }
        result.replies = Dictionary(
            uniqueKeysWithValues: result.replies.map { (samples[$0.key], $0.value) })
        let missing = samples.filter { result.replies[$0] == nil }
        if result.failure == nil, !missing.isEmpty {
            result.failure = .incomplete(endpoint: lease.endpoint.name, samples: missing)
        }
        if let failure = result.failure, support.learn(failure, lease.endpoint, used: form) {
            // The same request in the other form; the endpoint is not to blame.
            result.failure = nil
            return result
        }
        outcome = Self.outcome(result)
        reason = result.failure?.description ?? ""
        return result
    }

    private static func outcome(_ result: EndpointConnection.Result) -> EndpointPool.Outcome {
        guard let failure = result.failure else { return .success }
        if let pause = result.retryAfter, pause > 0 { return .pause(pause) }
        switch failure {
        case .connection, .timeLimit, .busy, .malformed: return .failure
        // An endpoint that counts its samples wrong is up.
        case .incomplete: return result.replies.isEmpty ? .failure : .success
        case .configuration, .rejected, .quota, .exhausted, .unavailable, .inexpressible, .overloaded: return .neutral
        }
    }

    // MARK: Looking

    /// The models that an endpoint offers, by `/models`.
    public static func models(at endpoint: Endpoint, seconds: Double = 10) async throws -> [String] {
        try endpoint.checkKey()
        // A redirect would take the key to another host.
        let clients = try WebClients(.init(redirectConfiguration: .disallow))
        do {
            let models = try await models(at: endpoint, through: clients, seconds: seconds)
            await clients.shutdown()
            return models
        } catch {
            await clients.shutdown()
            throw error
        }
    }

    /// The same through clients that are there, which must follow no redirects.
    static func models(at endpoint: Endpoint, through clients: WebClients, seconds: Double) async throws -> [String] {
        struct List: Decodable {
            struct Model: Decodable { var id: String }
            var data: [Model]
        }
        var call = HTTPClientRequest(url: endpoint.address(of: "models"))
        call.headers = EndpointConnection.headers(endpoint)
        let (status, body): (Int, ByteBuffer)
        do {
            let response = try await clients.client(for: endpoint.url)
                .execute(call, timeout: .milliseconds(Int64(seconds * 1000)))
            status = Int(response.status.code)
            body = try await response.body.collect(upTo: 4 << 20)
        } catch {
            throw RemoteError.connection(endpoint: endpoint.name, reason: WebFault.reason(error))
        }
        guard status == 200 else {
            throw RemoteError.rejected(
                endpoint: endpoint.name, status: status, message: "its models cannot be listed")
        }
        guard let list = try? JSONCoding.decoder.decode(List.self, from: Data(body.readableBytesView)) else {
            throw RemoteError.malformed(endpoint: endpoint.name, reason: "its list of models cannot be read")
        }
        return list.data.map(\.id)
    }
}
