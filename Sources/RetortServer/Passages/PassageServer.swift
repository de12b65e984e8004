import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RetortCore
import RetortRetrieval
import ServiceLifecycle

/// A retrieval server that speaks Search-R1's protocol (arXiv 2503.09516), which the agents of agent-distillation and
/// verl use too: `POST /retrieve`, `GET /health`, `GET /metrics`.
///
/// ```swift
/// let server = PassageServer(try PassageIndex(file))
/// try await ServiceGroup(services: [server], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// Queries that arrive at the same time are searched together, and the latest result lists are remembered. Errors are
/// reported as `{"detail": …}`: 422 for a request that cannot be read or asks for too much, 503 when too many
/// requests wait, 504 when a request takes too long.
public struct PassageServer: Service {
    private let search: RememberedSearch
    private let options: PassageServerOptions
    private let gauges: @Sendable () -> [Gauge]
    private let preparing: @Sendable () -> String?
    private let quotesTitles: @Sendable () -> Bool
    private let admission: Admission
    private let metrics = Metrics()
    private let logger: Logger
    private let onStart: @Sendable (_ port: Int) async -> Void
    private let started = Date()

    /// - Parameters:
    ///   - search: what is searched; several queries are passed to it at once.
    ///   - preparing: the progress while the index is still being built; nil once it is ready. Nothing is remembered
    ///     until then.
    ///   - quotesTitles: whether titles stand in quotation marks in `contents`, as in Search-R1's corpus.
    ///   - gauges: further figures for `/metrics`, measured each time it is asked.
    ///   - onStart: called once connections are accepted, with the port.
    public init(
        _ search: any PassageSearch, options: PassageServerOptions = PassageServerOptions(),
        logger: Logger = Logger(label: "retort.passages"),
        preparing: @escaping @Sendable () -> String? = { nil },
        quotesTitles: @escaping @Sendable () -> Bool = { false }, gauges: @escaping @Sendable () -> [Gauge] = { [] },
        onStart: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) {
        self.search = RememberedSearch(search, remembered: options.remembered) { preparing() == nil }
        (self.preparing, self.quotesTitles) = (preparing, quotesTitles)
        self.options = options
        self.gauges = gauges
        admission = Admission(
            running: options.maximumRunning, waiting: options.maximumWaiting, patience: .seconds(options.requestSeconds)
        )
        self.logger = logger
        self.onStart = onStart
    }

    /// Serves until a graceful shutdown or cancellation.
    /// - Throws: `ServerError` when it cannot listen.
    public func run() async throws {
        let shared = options.shared
        let router = Router(context: ServerContext.self)
        router.add(middleware: PassageMiddleware(metrics: metrics, logger: logger))
        router.add(middleware: HostMiddleware(options: shared))
        router.add(middleware: KeyMiddleware(keys: options.keys))
        router.post("/retrieve") { request, context in try await retrieve(request, context) }
        router.get("/health") { _, _ in await health }
        router.get("/metrics") { _, _ in await metricsText }
        let listening = Listening(
            host: options.host, port: options.port, idleSeconds: options.clientSeconds + options.requestSeconds,
            mostConnections: options.maximumConnections, logger: logger, onStart: onStart)
        try await withGracefulShutdownHandler {
            try await listening.serve(router)
        } onGracefulShutdown: { [admission] in
            admission.close()
        }
    }

    private func retrieve(_ request: Request, _ context: ServerContext) async throws -> Response {
        let asked = try RetrieveReading(options: options).request(await context.body(of: request, options.shared))
        let seconds = options.requestSeconds
        let count = asked.count ?? options.results
        let lists = try await context.whilePresent { [admission, search] in
            try await withTimeLimit(seconds: seconds, late: .slowSearch(seconds: seconds)) {
                let place = try await admission.enter()
                defer { withExtendedLifetime(place) {} }
                return try await search.search(all: asked.queries, limit: count)
            }
        }
        metrics.count("retort_queries_total", [], by: asked.queries.count)
        return .json(
            RetrieveReply(lists).json(scores: asked.returnsScores, quotesTitles: quotesTitles()),
            marks: .asTheyAre)
    }

    private var health: Response {
        get async {
            let progress = preparing()
            var members: [String: JSONValue] = [
                "status": progress == nil ? "ok" : "preparing", "version": .string(Retort.version),
            ]
            if let progress, !options.keys.isRequired { members["progress"] = .string(progress) }
            // Without a key a client learns only whether the server is healthy.
            guard !options.keys.isRequired else { return .json(.object(members)) }
            let load = admission.load
            members["running"] = .integer(load.running)
            members["waiting"] = .integer(load.waiting)
            return .json(.object(members))
        }
    }

    private var metricsText: Response {
        get async {
            let (load, account) = (admission.load, await search.account)
            let own = [
                Gauge("retort_requests_running", "Requests under way.", Double(load.running)),
                Gauge("retort_requests_waiting", "Requests that wait for a place.", Double(load.waiting)),
                Gauge(
                    "retort_queries_remembered_total", "Queries answered from memory.", Double(account.remembered)),
                Gauge("retort_queries_searched_total", "Queries searched for.", Double(account.searched)),
                Gauge("retort_search_passes_total", "Searches, of one or more queries.", Double(account.passes)),
                Gauge("retort_search_largest_pass", "The most queries of one search.", Double(account.largest)),
                Gauge("retort_lists_remembered", "Lists of passages in memory.", Double(account.kept)),
                Gauge(
                    "retort_resident_memory_bytes", "Memory of the process.", Double(InformationRoutes.residentBytes)),
                Gauge(
                    "retort_uptime_seconds", "Since the server started, in seconds.",
                    Date().timeIntervalSince(started)),
            ]
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: metrics.text(gauges: own + gauges()))))
        }
    }
}

extension APIError {
    fileprivate static func slowSearch(seconds: Double) -> APIError {
        APIError(
            status: .gatewayTimeout, type: "server_error", code: "timeout",
            message: "the search took longer than \(seconds) s; ask for less at once, or raise the server's limit")
    }

    /// An error for a request that cannot be carried out as it stands.
    fileprivate static func unprocessable(_ message: String) -> APIError {
        APIError(status: .unprocessableContent, message: message)
    }
}

/// Reads requests, and refuses unsupported members by name.
private struct RetrieveReading {
    let options: PassageServerOptions

    /// - Throws: `APIError` that names the member.
    func request(_ body: [UInt8]) throws -> RetrieveRequest {
        do {
            return try read(body)
        } catch {
            // FastAPI, which the protocol's other servers are built with, uses this status.
            throw error.status == .badRequest ? APIError.unprocessable(error.message) : error
        }
    }

    private func read(_ body: [UInt8]) throws(APIError) -> RetrieveRequest {
        var fields = try RequestFields(body: body)
        guard let elements = try fields.array("queries") else {
            throw .invalid("'queries' is missing: a list of texts")
        }
        guard elements.count <= options.maximumQueries else {
            throw .invalid(
                "'queries' has \(elements.count) elements, and a request may have \(options.maximumQueries); send several"
            )
        }
        var queries: [String] = []
        queries.reserveCapacity(elements.count)
        for (number, element) in elements.enumerated() {
            let query = try RequestFields.string(element, at: "queries[\(number)]")
            guard query.utf8.count <= options.maximumBytes else {
                throw .invalid("'queries[\(number)]' is longer than \(options.maximumBytes) bytes; shorten it")
            }
            queries.append(query)
        }
        // Search-R1's servers take 0 to mean no value.
        let count = try fields.integer("topk", in: 0...options.maximumResults)
        let returnsScores = try fields.flag("return_scores") ?? false
        try fields.refuseOthers(harmless: [])
        return RetrieveRequest(queries: queries, count: count == 0 ? nil : count, returnsScores: returnsScores)
    }
}
