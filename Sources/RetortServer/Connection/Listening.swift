import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore

/// How a server of ours listens: its address, the bounds on its connections, and whom it tells once it listens.
struct Listening: Sendable {
    let host: String
    /// 0 takes any free port.
    let port: Int
    /// The `Server` header of answers; nil sends none.
    let name: String?
    /// After this many seconds without a byte a connection is closed.
    let idleSeconds: Double
    let mostConnections: Int
    /// Where the frameworks' own messages go, at debug level.
    let logger: Logger
    /// Called once connections are accepted, with the port.
    let onStart: @Sendable (_ port: Int) async -> Void

    init(
        host: String, port: Int, name: String? = "retort", idleSeconds: Double, mostConnections: Int, logger: Logger,
        onStart: @escaping @Sendable (_ port: Int) async -> Void
    ) {
        (self.host, self.port, self.name) = (host, port, name)
        (self.idleSeconds, self.mostConnections, self.onStart) = (idleSeconds, mostConnections, onStart)
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        self.logger = quiet
    }

    /// The application that answers by a router's routes.
    func application(_ router: Router<ServerContext>) -> some ApplicationProtocol {
        Application(
            router: router,
            server: .http1(
                configuration: HTTP1Channel.Configuration(
                    additionalChannelHandlers: [ClientPresence(), WireRulesEntry()],
                    idleTimeout: .nanoseconds(Int64(idleSeconds * 1e9)))),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: name,
                availableConnectionsDelegate: MaximumAvailableConnections(mostConnections)),
            onServerRunning: { [onStart, port] channel in await onStart(channel.localAddress?.port ?? port) },
            logger: logger)
    }

    /// Answers until a graceful shutdown or cancellation.
    /// - Throws: `ServerError` when it cannot listen.
    func serve(_ router: Router<ServerContext>) async throws {
        try await telling { try await application(router).run() }
    }

    /// Runs a server, and turns a failure to listen into `ServerError`.
    func telling(_ run: () async throws -> Void) async throws {
        do {
            try await run()
        } catch let error as IOError {
            throw ServerError.cannotListen(host: host, port: port, String(cString: strerror(error.errnoCode)))
        }
    }
}
