import NIOCore
import NIOHTTP1
import RetortCore

/// Keeps to the rules of HTTP/1 that the framework leaves open (RFC 9110 and 9112):
///
/// - an answer to HTTP/1.0 ends with its connection, and is not cut into chunks;
/// - an answer to HEAD has no body;
/// - a client that sends `Expect: 100-continue` is told to go on;
/// - a request that cannot be parsed is told so in OpenAI's form.
final class WireRules: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private struct Asked {
        let isHead: Bool
        let isOld: Bool
    }

    /// The requests that are not answered yet, in their order.
    private var asked: [Asked] = []
    /// The request whose answer is being written.
    private var answered: Asked?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data) else {
            context.fireChannelRead(data)
            return
        }
        let isOld = head.version.major == 1 && head.version.minor == 0
        let connection = head.headers[canonicalForm: "connection"]
        // The framework looks for this very word.
        if isOld || connection.contains(where: { $0.lowercased() == "close" }) {
            head.headers.replaceOrAdd(name: "connection", value: "close")
        }
        if !isOld, asked.isEmpty, head.headers["expect"].contains(where: { $0.lowercased() == "100-continue" }) {
            let goOn = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(goOn)), promise: nil)
        }
        asked.append(Asked(isHead: head.method == .HEAD, isOld: isOld))
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status.code >= 200: write(head, promise, context)
        case .body where answered?.isHead == true: promise?.succeed(())
        case .head, .body, .end: context.write(data, promise: promise)
        }
    }

    private func write(_ head: HTTPResponseHead, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) {
        var head = head
        answered = asked.isEmpty ? nil : asked.removeFirst()
        if answered?.isOld == true {
            head.version = .http1_0
            head.headers.replaceOrAdd(name: "connection", value: "close")
        }
        // The framework's own answer to what its parser cannot read.
        guard head.status == .badRequest, head.headers.first(name: "content-length") == "0" else {
            context.write(wrapOutboundOut(.head(head)), promise: promise)
            return
        }
        let body = ByteBuffer(string: ExactJSON.text(APIError.notHTTP.body) + "\n")
        head.headers.replaceOrAdd(name: "content-type", value: "application/json")
        head.headers.replaceOrAdd(name: "content-length", value: String(body.readableBytes))
        context.write(wrapOutboundOut(.head(head)), promise: promise)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    }
}

/// Puts `WireRules` where HTTP/1 is still told from its meaning: right behind the parser.
final class WireRulesEntry: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny

    func handlerAdded(context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        do {
            let parser = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(WireRules(), position: .after(parser))
        } catch {
            context.fireErrorCaught(error)
        }
    }
}
