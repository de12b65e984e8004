import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A retrieval server on the loopback interface that answers from a closure, and as badly as it is told: what a client is tried
/// against.
public final class ScriptedRetriever: Sendable {
    /// What it does with a request.
    public enum Behaviour: Sendable {
        /// Answers with a status and a body.
        case answer(Int, String)
        /// Answers after some seconds.
        case late(seconds: Double, Int, String)
        /// Promises more bytes than it sends, and waits for ever.
        case unfinished(String)
        /// Sends a body without an end, block after block.
        case endless
        /// Says nothing.
        case silent
        /// Closes the connection.
        case close
        /// Sends the client to another address.
        case redirect(String)
    }

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let channel: any Channel
    private let bodies: BodyLog

    /// Starts to listen.
    /// - Parameter behave: given a request's headers, by lower-case names, and body.
    public init(_ behave: @escaping @Sendable (_ headers: [String: String], _ body: String) -> Behaviour) async throws {
        let bodies = BodyLog()
        self.bodies = bodies
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(RetrieverHandler(bodies, behave))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// Where it listens.
    public var address: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)" }
    /// The bodies of the requests so far.
    public var requests: [String] { bodies.all }

    /// Stops, and closes every connection.
    public func close() async throws {
        try await channel.close()
        try await group.shutdownGracefully()
    }
}

private final class BodyLog: Sendable {
    private let bodies = Mutex<[String]>([])

    var all: [String] { bodies.withLock { $0 } }

    func add(_ body: String) { bodies.withLock { $0.append(body) } }
}

private final class RetrieverHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    private let bodies: BodyLog
    private let behave: @Sendable ([String: String], String) -> ScriptedRetriever.Behaviour
    private var headers: [String: String] = [:]
    private var body: [UInt8] = []

    init(_ bodies: BodyLog, _ behave: @escaping @Sendable ([String: String], String) -> ScriptedRetriever.Behaviour) {
        (self.bodies, self.behave) = (bodies, behave)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            headers = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { a, _ in a })
            body = []
        case .body(let part): body.append(contentsOf: part.readableBytesView)
        case .end:
            let text = String(decoding: body, as: UTF8.self)
            bodies.add(text)
            Script(channel: context.channel).act(behave(headers, text))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

private struct Script: Sendable {
    let channel: any Channel

    func act(_ behaviour: ScriptedRetriever.Behaviour) {
        switch behaviour {
        case .answer(let status, let text): whole(status, text)
        case .late(let seconds, let status, let text):
            channel.eventLoop.scheduleTask(in: .nanoseconds(Int64(seconds * 1e9))) { whole(status, text) }
        case .unfinished(let text):
            head(200, ["content-length": "\(text.utf8.count + 1000)"])
            channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))), promise: nil)
        case .endless:
            head(200, ["transfer-encoding": "chunked"])
            more()
        case .silent: break
        case .close: channel.close(promise: nil)
        case .redirect(let place):
            head(307, ["location": place, "content-length": "0"])
            channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
        }
    }

    private func whole(_ status: Int, _ text: String) {
        head(status, ["content-type": "application/json", "content-length": "\(text.utf8.count)"])
        channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))), promise: nil)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
    }

    /// One block more, when the last one is written, until the client has gone.
    private func more() {
        let block = ByteBuffer(repeating: UInt8(ascii: " "), count: 1 << 20)
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(block))).whenSuccess { more() }
    }

    private func head(_ status: Int, _ headers: HTTPHeaders) {
        let head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
    }
}
