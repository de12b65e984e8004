import AsyncHTTPClient
import Foundation
import NIOCore
import RetortCore
import RetortWeb
import Synchronization

/// Servers of the same model behind one name: clients' requests are passed on to one of them as they are, and so are the answers.
///
/// A conversation stays with the replica that has read its beginning, unless that one has more than a quarter above its share of the work.
/// One that cannot be reached, or fails three times on end, is left alone for a second, then twice as long each time, up to a minute; a
/// single request tries it again, sooner if all the others are left alone, too. A request that fails before anything of its answer was
/// passed on goes to another replica.
///
/// ```swift
/// let replicas = try Replicas("qwen", [Endpoint("http://a:8000", model: ""), Endpoint("http://b:8000", model: "")])
/// try catalogue.add(replicas)
/// ```
public final class Replicas: Sendable {
    /// How requests are passed on.
    public struct Options: Sendable {
        /// Until a connection stands, in seconds.
        public var connectSeconds = 5.0
        /// The longest that a stream may be silent, before its first piece and between two pieces, in seconds; 0 is no limit.
        public var silenceSeconds = 300.0
        /// The longest that an answer may take, in seconds; 0 is no limit.
        public var requestSeconds = 600.0
        /// The most requests that wait for a replica.
        public var waiting = 256
        /// The longest that a request waits for one, in seconds.
        public var waitSeconds = 60.0
        /// After so many failures on end a replica that can be reached is left alone.
        public var failuresToRest = 3
        /// For how long it is left alone the first time, in seconds; then twice as long each time, up to a minute.
        public var restSeconds = 1.0

        /// The usual values.
        public init() {}
    }

    /// A part of an answer, in this order: one head, then bytes.
    public enum Part: Sendable {
        case head(Head)
        case bytes(ByteBuffer)
    }

    /// What an answer begins with.
    public struct Head: Sendable {
        /// The status that the replica answered with.
        public let status: Int
        /// `content-type` and `retry-after`, as far as the replica sent them.
        public let headers: [(name: String, value: String)]
        /// The length of the whole answer, in bytes, where it is known.
        public let length: Int?
        /// Host and port of the replica.
        public let replica: String

        /// Whether server-sent events follow.
        public var isEventStream: Bool {
            headers.contains { $0.name == "content-type" && $0.value.lowercased().hasPrefix("text/event-stream") }
        }
    }

    /// A replica as it is now.
    public struct Standing: Sendable, Hashable {
        /// Host and port.
        public var replica: String
        /// Requests that were sent to it.
        public var requests: Int
        /// Those that failed by its fault.
        public var failures: Int
        /// Requests under way.
        public var inFlight: Int
        /// Whether it gets requests, and answered the last one that told.
        public var isHealthy: Bool
    }

    /// The name under which clients ask for the model.
    public let name: String
    /// The most requests under way, of all replicas together.
    public let capacity: Int
    private let options: Options
    private let endpoints: [Endpoint]
    private let pool: EndpointPool
    private let clients: WebClients
    /// What replicas call the model, by index, once they were asked.
    private let names = Mutex<[Int: String]>([:])
    /// The longest pause that a replica can ask for, in seconds.
    private static let longestPause = 60.0

    /// - Parameters:
    ///   - name: what clients call the model.
    ///   - endpoints: at least one. An empty `model` stands for `name`, or whatever the only model there is called.
    /// - Throws: `RemoteError.configuration`: no endpoint, one that is given twice, or a key that would travel in the clear; `ProxyError`.
    public init(_ name: String, _ endpoints: [Endpoint], options: Options = Options()) throws {
        guard !endpoints.isEmpty else {
            throw RemoteError.configuration("'\(name)' has no replica; name at least one address")
        }
        var known: Set<URL> = []
        for endpoint in endpoints {
            try endpoint.checkKey()
            guard known.insert(endpoint.url).inserted else {
                throw RemoteError.configuration("'\(name)' has the replica \(endpoint.url) twice; leave one out")
            }
        }
        (self.name, self.endpoints, self.options) = (name, endpoints, options)
        capacity = endpoints.reduce(0) { $0 + $1.concurrency }
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .milliseconds(Int64(max(options.connectSeconds, 0.01) * 1000))))
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = capacity
        configuration.connectionPool.retryConnectionEstablishment = false
        clients = try WebClients(configuration)
        pool = EndpointPool(
            endpoints,
            retries: .init(
                base: options.restSeconds / 2, patience: options.waitSeconds, failuresToOpen: options.failuresToRest),
            queue: options.waiting, outage: .refuses)
    }

    deinit {
        let clients = clients
        Task { await clients.shutdown() }
    }

    /// The replicas as they are now.
    public var standings: [Standing] {
        pool.standings.map {
            Standing(
                replica: $0.endpoint.name, requests: $0.statistics.requests, failures: $0.statistics.failures,
                inFlight: $0.inFlight, isHealthy: $0.isHealthy)
        }
    }

    /// How many requests wait for a replica.
    public var waiting: Int { pool.waiting }

    /// Passes a request on, and its answer back.
    /// - Parameter take: gets the answer's parts; no more is read of the answer before it returns.
    /// - Throws: `ReplicaError`, `CancellationError`, and what `take` throws. After the first part only `broken` and `timeLimit` are
    ///   the replica's fault.
    public func pass(_ request: PassedRequest, to take: @escaping @Sendable (Part) async throws -> Void) async throws {
        var failures: [ReplicaCall.Failure] = []
        var tried: Set<Int> = []
        var onlyTrials = true
        while tried.count < endpoints.count {
            let lease: EndpointPool.Lease
            do {
                lease = try await pool.lease(since: .now, home: request.home, avoiding: tried)
            } catch {
                guard failures.isEmpty || error is CancellationError else { break }
                throw told(error)
            }
            tried.insert(lease.index)
            onlyTrials = onlyTrials && lease.isTrial
            guard let failure = try await attempt(lease, request, take) else { return }
            failures.append(failure)
        }
        // What a replica says is more use than that it said it.
        if let answer = failures.compactMap(\.answer).last {
            try await take(.head(answer.head))
            return try await take(.bytes(answer.body))
        }
        let reasons = failures.map(\.reason)
        throw onlyTrials
            ? ReplicaError.unavailable(model: name, reasons: reasons, seconds: pool.shortestRest)
            : ReplicaError.failed(model: name, reasons: reasons)
    }

    /// One attempt at one replica.
    /// - Returns: the failure after which another replica may be asked; nil when the answer was passed on.
    private func attempt(
        _ lease: EndpointPool.Lease, _ request: PassedRequest, _ take: @escaping @Sendable (Part) async throws -> Void
    ) async throws -> ReplicaCall.Failure? {
        var outcome = EndpointPool.Outcome.neutral
        var reason = ""
        defer { pool.release(lease, outcome, reason: reason) }
        let call = ReplicaCall(endpoint: lease.endpoint, clients: clients, options: options)
        do {
            let configured = lease.endpoint.model
            let known: String? = configured.isEmpty ? names.withLock { $0[lease.index] } : configured
            let passing: @Sendable (Part) async throws -> Void = { part in
                if case .head(let head) = part, head.status < 300 { self.pool.answers(lease) }
                try await take(part)
            }
            let result = try await call.pass(request, as: name, known: known, passing) { found in
                self.names.withLock { $0[lease.index] = found }
            }
            switch result {
            case .passed(let status):
                // It may have been started again with another model.
                if status == 404 { names.withLock { _ = $0.removeValue(forKey: lease.index) } }
                outcome = .success
                return nil
            case .failed(let failure):
                outcome = Self.outcome(failure)
                reason = failure.reason
                return failure
            }
        } catch let error as ReplicaError {
            outcome = .failure
            reason = "\(error)"
            throw error
        }
    }

    private static func outcome(_ failure: ReplicaCall.Failure) -> EndpointPool.Outcome {
        if failure.isDown { return .down }
        return failure.pause.map { .pause(min($0, longestPause)) } ?? .failure
    }

    private func told(_ error: any Error) -> any Error {
        switch error {
        case let error as EndpointPool.AllRest:
            let reasons = pool.standings.map(\.lastFailure)
            return ReplicaError.unavailable(model: name, reasons: reasons, seconds: error.seconds)
        case RemoteError.overloaded(let waiting): return ReplicaError.crowded(model: name, waiting: waiting)
        case RemoteError.unavailable(let seconds, _): return ReplicaError.noPlace(model: name, seconds: seconds)
        default: return error
        }
    }
}
