import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RetortCore
import RetortMCP
import ServiceLifecycle

/// Serves tools by the Model Context Protocol over streamable HTTP, at `/mcp`, to clients on this machine.
///
/// ```swift
/// let server = try MCPServer(name: "shop", tools: tools)
/// try await MCPHTTPServer(server, port: 8931).run()
/// ```
///
/// It listens on the loopback interface only, and checks the name under which it is addressed and the origin of pages
/// that ask.
public struct MCPHTTPServer: Service {
    private let handler: MCPHTTPHandler
    private let options: ServerOptions
    private let logger: Logger
    private let onStart: @Sendable (_ port: Int) async -> Void

    /// - Parameters:
    ///   - port: 0 takes any free port.
    ///   - onStart: called once connections are accepted, with the port.
    public init(
        _ server: MCPServer, port: Int = 8931, logger: Logger = Logger(label: "retort.mcp"),
        onStart: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) {
        handler = MCPHTTPHandler(server)
        var options = ServerOptions()
        options.port = port
        options.maximumBodyBytes = server.limits.maximumMessageBytes
        options.maximumConnections = server.limits.maximumSessions * 4
        self.options = options
        self.logger = logger
        self.onStart = onStart
    }

    /// Serves until a graceful shutdown or cancellation.
    /// - Throws: `ServerError` when it cannot listen.
    public func run() async throws {
        let router = Router(context: ServerContext.self)
        router.add(middleware: VirtualErrorMiddleware())
        router.add(middleware: HostMiddleware(options: options))
        for method in [HTTPRequest.Method.get, .post, .delete] {
            router.on("/mcp", method: method) { request, context in try await answer(request, context) }
        }
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let application = Application(
            router: router,
            server: .http1(
                configuration: HTTP1Channel.Configuration(
                    additionalChannelHandlers: [ClientPresence(), WireRulesEntry()])),
            configuration: ApplicationConfiguration(
                address: .hostname(options.host, port: options.port), serverName: "retort",
                availableConnectionsDelegate: MaximumAvailableConnections(options.maximumConnections)),
            onServerRunning: { [onStart, options] channel in
                await onStart(channel.localAddress?.port ?? options.port)
            }, logger: quiet)
        do {
            try await application.run()
        } catch let error as IOError {
            throw ServerError.cannotListen(
                host: options.host, port: options.port, String(cString: strerror(error.errnoCode)))
        }
    }

    private func answer(_ request: Request, _ context: ServerContext) async throws -> Response {
        let body = request.method == .post ? try await context.body(of: request, options) : []
        let reply = await handler.answer(
            method: request.method.rawValue, header: { HTTPField.Name($0).flatMap { request.headers[$0] } }, body: body)
        switch reply {
        case .plain(let status, let fields, let text):
            var headers = HTTPFields()
            for field in fields { if let name = HTTPField.Name(field.name) { headers[name] = field.value } }
            let buffer = ByteBuffer(string: text ?? "")
            headers[.contentLength] = String(buffer.readableBytes)
            return Response(
                status: HTTPResponse.Status(code: status), headers: headers, body: ResponseBody(byteBuffer: buffer))
        case .events(let events):
            return Response(
                status: .ok, headers: [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache"],
                body: ResponseBody { writer in
                    for await event in events {
                        try await writer.write(ByteBuffer(string: "event: message\ndata: \(event)\n\n"))
                    }
                    try await writer.finish(nil)
                })
        }
    }
}
