import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RetortAgents
import RetortCore
import ServiceLifecycle

/// A server of virtual APIs by StableToolBench's protocol (arXiv 2403.07714): `POST /virtual`, and `GET /health`.
///
/// ```swift
/// let cache = try ReplyCache(file) { examples in SimulatedAPIs(model, examples: examples.callAsFunction) }
/// let server = VirtualAPIServer(cache, port: 8080)
/// try await ServiceGroup(services: [server], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// Bodies must be declared as JSON, so that no page in a browser can ask the server without permission. A server that
/// listens on this machine only and requires no key must be addressed by IP address or as `localhost`.
///
/// A call that cannot be read is answered with status 422, a call too many with 503, a call that takes too long with
/// 504; each answer has the protocol's own form, an `error` and an empty `response`.
public struct VirtualAPIServer: Service {
    private let apis: any VirtualAPIs
    private let host: String
    private let port: Int
    private let seconds: Double
    private let options: ServerOptions
    private let admission: Admission
    private let logger: Logger
    private let onStart: @Sendable (_ port: Int) async -> Void

    /// The longest body, in bytes.
    private static let longestBody = 1 << 20

    /// - Parameters:
    ///   - port: 0 takes any free port.
    ///   - maximumRunning: the most calls that are worked on at once; four times as many may wait.
    ///   - seconds: the longest a call may take, its waiting time included.
    ///   - keys: the keys that clients may present.
    ///   - clientSeconds: the longest a client may take to send its call.
    ///   - maximumConnections: the most connections; further ones wait to be accepted.
    ///   - onStart: called once connections are accepted, with the port.
    public init(
        _ apis: any VirtualAPIs, host: String = "127.0.0.1", port: Int = 8080, maximumRunning: Int = 32,
        seconds: Double = 120, keys: APIKeys = APIKeys(), clientSeconds: Double = 30, maximumConnections: Int = 1024,
        logger: Logger = Logger(label: "retort.apis"),
        onStart: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) {
        self.apis = apis
        self.host = host
        self.port = port
        self.seconds = seconds
        var options = ServerOptions()
        options.host = host
        options.keys = keys
        options.clientSeconds = clientSeconds
        options.maximumConnections = maximumConnections
        options.maximumBodyBytes = Self.longestBody
        self.options = options
        admission = Admission(running: maximumRunning, waiting: 4 * maximumRunning, patience: .seconds(seconds))
        self.logger = logger
        self.onStart = onStart
    }

    /// Serves until a graceful shutdown or cancellation.
    /// - Throws: `ServerError` when it cannot listen.
    public func run() async throws {
        let router = Router(context: ServerContext.self)
        router.add(middleware: VirtualErrorMiddleware())
        router.add(middleware: HostMiddleware(options: options))
        router.add(middleware: KeyMiddleware(keys: options.keys))
        router.post("/virtual") { request, context in await answer(request, context) }
        router.get("/health") { _, _ in
            let load = admission.load
            return Response.json([
                "status": "ok", "running": .integer(load.running), "waiting": .integer(load.waiting),
            ])
        }
        try await Listening(
            host: host, port: port, idleSeconds: options.clientSeconds * 2, mostConnections: options.maximumConnections,
            logger: logger, onStart: onStart
        ).serve(router)
    }

    private func answer(_ request: Request, _ context: ServerContext) async -> Response {
        func refuse(_ status: HTTPResponse.Status, _ reason: String) -> Response {
            .json(VirtualReply(error: reason).json, status: status)
        }
        let call: VirtualCall
        do {
            let body = try await context.body(of: request, options)
            call = try ExactJSON.decode(VirtualCall.self, from: body)
        } catch let error as APIError where error.status != .contentTooLarge {
            return refuse(error.status, error.message)
        } catch {
            let fields = "category, tool_name, api_name and tool_input"
            return refuse(.unprocessableContent, "the body is not a JSON object with \(fields)")
        }
        do {
            let reply = try await withTimeLimit(seconds: seconds, late: .timeout(seconds: seconds)) {
                [admission, apis] in
                let place = try await admission.enter()
                defer { withExtendedLifetime(place) {} }
                return try await apis.reply(to: call)
            }
            return .json(reply.json)
        } catch is Admission.Refusal {
            return refuse(.serviceUnavailable, "too many requests; try again later")
        } catch let error as APIError {
            return refuse(error.status, error.message)
        } catch {
            let reason = APIError.shown(message: "\(error)")
            logger.error(
                "a virtual call failed", metadata: ["error": "\(reason)", "api": "\(APIError.shown(name: call.api))"])
            return refuse(.internalServerError, "the call failed: \(reason)")
        }
    }
}
