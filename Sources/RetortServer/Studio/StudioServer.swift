import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RetortCore
import ServiceLifecycle

/// Runs, their trajectories, agents and domains as pages for a browser on this machine.
///
/// Nothing is loaded from elsewhere, and everything that models or tools wrote is shown as text. Runs are opened
/// read-only, even while another process works in them; only labels are written.
///
/// ```swift
/// let studio = StudioServer(StudioPlaces(runs: [URL(fileURLWithPath: "runs")])) { print($0) }
/// try await ServiceGroup(services: [studio], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
public struct StudioServer: Service {
    private let places: StudioPlaces
    private let options: StudioOptions
    private let logger: Logger
    private let onStart: @Sendable (_ address: String) async -> Void

    /// - Parameters:
    ///   - places: the runs, agents and domains to show.
    ///   - onStart: called once connections are accepted, with the address to open, including its token.
    public init(
        _ places: StudioPlaces, options: StudioOptions = StudioOptions(),
        logger: Logger = Logger(label: "retort.studio"),
        onStart: @escaping @Sendable (_ address: String) async -> Void = { _ in }
    ) {
        self.places = places
        self.options = options
        self.logger = logger
        self.onStart = onStart
    }

    /// Serves until a graceful shutdown or cancellation.
    /// - Throws: `ServerError` when it cannot listen.
    public func run() async throws {
        let core = StudioCore(places, options, try await StudioTemplates())
        let router = Router(context: ServerContext.self)
        router.add(middleware: StudioGate(core: core, logger: logger))
        FileRoutes(core: core).add(to: router)
        RunRoutes(core: core).add(to: router)
        TrajectoryRoutes(core: core).add(to: router)
        CompareRoutes(core: core).add(to: router)
        TalkRoutes(core: core).add(to: router)
        TryRoutes(core: core).add(to: router)
        let listening = Listening(
            host: options.host, port: options.port, name: nil, idleSeconds: options.clientSeconds * 2,
            mostConnections: options.maximumConnections, logger: logger
        ) { [onStart, options] port in
            await onStart(Self.address(options, port: port))
        }
        do {
            try await withGracefulShutdownHandler {
                try await listening.serve(router)
            } onGracefulShutdown: {
                core.stop()
            }
        } catch {
            await core.close()
            throw error
        }
        await core.close()
    }

    private static func address(_ options: StudioOptions, port: Int) -> String {
        let host = ["0.0.0.0", "::"].contains(options.host) ? "127.0.0.1" : options.host
        return "http://\(host.contains(":") ? "[\(host)]" : host):\(port)/?token=\(options.token)"
    }
}
