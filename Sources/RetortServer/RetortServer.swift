import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RetortCore
import ServiceLifecycle
import Tracing

/// An OpenAI-compatible server of models, adapters and whole agents.
///
/// ```swift
/// var catalogue = ModelCatalogue()
/// try catalogue.add("3m", LocalModel(folder: URL(fileURLWithPath: "seedlings/3m")))
/// let server = RetortServer(catalogue)
/// try await ServiceGroup(services: [server], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// A graceful shutdown refuses new requests and lets those in progress finish, for at most `drainSeconds`.
public struct RetortServer: Service {
    private let core: ServerCore
    private let onStart: @Sendable (_ port: Int) async -> Void

    /// - Parameters:
    ///   - catalogue: the models and agents that are served.
    ///   - gauges: further figures for `/metrics`, measured each time it is asked; gauges of one name must follow
    ///     each other.
    ///   - onStart: called once connections are accepted, with the port.
    public init(
        _ catalogue: ModelCatalogue, options: ServerOptions = ServerOptions(),
        logger: Logger = Logger(label: "retort.server"),
        gauges: @escaping @Sendable () -> [Gauge] = { [] },
        onStart: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) {
        core = ServerCore(catalogue, options, logger, gauges: gauges)
        self.onStart = onStart
    }

    /// Serves until a graceful shutdown or cancellation.
    /// - Throws: `ServerError` when it cannot listen.
    public func run() async throws {
        let (core, listening) = (core, listening)
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(service: listening.application(router), successTerminationBehavior: .gracefullyShutdownGroup)
            ], logger: listening.logger)
        // Requests end within `drainSeconds`; this limit is for connections that do not.
        configuration.maximumGracefulShutdownDuration = .seconds(core.options.drainSeconds + Self.lastSeconds)
        do {
            try await withGracefulShutdownHandler {
                try await listening.telling { try await ServiceGroup(configuration: configuration).run() }
            } onGracefulShutdown: {
                core.logger.info("stopping", metadata: ["running": "\(core.generations.load.running)"])
                core.drain()
            }
        } catch is CancellationError where core.isDraining {
            core.logger.warning("connections were closed because their clients did not")
        }
        core.logger.info("stopped")
    }

    /// The time left for telling clients that their requests are cut short, in seconds.
    private static let lastSeconds = 5.0

    private var listening: Listening {
        let options = core.options
        return Listening(
            host: options.host, port: options.port, idleSeconds: options.clientSeconds * 2,
            mostConnections: options.maximumConnections, logger: core.logger, onStart: onStart)
    }

    private var router: Router<ServerContext> {
        let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
        // A client's trace goes on here, where traces are kept.
        router.add(middleware: TracingMiddleware())
        router.add(middleware: ObservingMiddleware(core: core))
        router.add(middleware: HostMiddleware(options: core.options))
        router.add(middleware: KeyMiddleware(keys: core.options.keys))
        GenerationRoutes(core: core).add(to: router)
        InformationRoutes(core: core).add(to: router)
        return router
    }
}

/// A server that cannot start.
public enum ServerError: Error, CustomStringConvertible {
    /// The address is in use or not available, with the system's reason.
    case cannotListen(host: String, port: Int, String)

    /// The fault and its remedy, for people.
    public var description: String {
        switch self {
        case .cannotListen(let host, let port, let reason):
            "cannot listen on \(host):\(port): \(reason); choose another --port, or end what uses it"
        }
    }
}
