import NIOCore
import NIOHTTP1
import NIOPosix
import RetortCore
import Synchronization

/// An OpenAI-compatible endpoint on the loopback interface that answers from a closure or a model, takes its time, and
/// misbehaves on purpose: what a client is tried against. All its state lives on one event loop.
///
/// ```swift
/// let endpoint = try await FaultyEndpoint(.init(faults: [.halfStream, .tooManyRequests], faultRate: 0.3)) { _ in
///     CannedAnswer(["conclusion: 5"])
/// }
/// let model = try RemoteModel([Endpoint(endpoint.address, model: "canned")])
/// // … use the model …
/// try await endpoint.close()
/// ```
///
/// `GET …/models` and `GET …/stats` are answered without faults, the latter with the tally as JSON.
public final class FaultyEndpoint: Sendable {
    /// How it behaves.
    public struct Options: Sendable {
        /// Where it listens: the loopback interface, unless others are to reach it.
        public var host: String
        /// 0 takes one that is free.
        public var port: Int
        /// Which faults it commits, in turn.
        public var faults: [Fault]
        /// How many of its answers are faults, in 0…1.
        public var faultRate: Double
        /// Seconds for an answer.
        public var latency: Double
        /// How many requests are worked on at once; others wait.
        public var slots: Int
        /// Seconds before each piece of an answer whose fault is `slowBytes`.
        public var pause: Double
        /// Which answers are faults is drawn from it.
        public var seed: UInt64

        /// An endpoint without faults that answers at once, unless said otherwise.
        public init(
            host: String = "127.0.0.1", port: Int = 0, faults: [Fault] = [], faultRate: Double = 0, latency: Double = 0,
            slots: Int = 1 << 20, pause: Double = 0.005, seed: UInt64 = 1
        ) {
            self.host = host
            self.port = port
            self.faults = faults
            self.faultRate = faultRate
            self.latency = latency
            self.slots = slots
            self.pause = pause
            self.seed = seed
        }
    }

    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let queue: NIOLoopBound<RequestQueue>
    private let isOpen = Atomic(true)

    /// Starts to listen.
    /// - Parameter answer: gives a request's answer; what it throws is answered with 500.
    public init(
        _ options: Options = Options(), answer: @escaping @Sendable (ReceivedRequest) async throws -> CannedAnswer
    )
        async throws
    {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let queue = try await loop.submit {
            NIOLoopBound(RequestQueue(options, loop: loop, answer: answer), eventLoop: loop)
        }.get()
        self.queue = queue
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Receiver(queue.value))
                }
            }
            .bind(host: options.host, port: options.port).get()
    }

    /// Starts to listen, and answers chats as a model in this process does.
    public convenience init(_ options: Options = Options(), model: any LanguageModel) async throws {
        try await self.init(options) { try await CannedAnswer(of: model, to: $0) }
    }

    /// Where it listens.
    public var port: Int { channel.localAddress?.port ?? 0 }
    /// The address to give a client, without `/v1`.
    public var address: String { "http://127.0.0.1:\(port)" }

    /// What it saw and did so far.
    public func tally() async throws -> EndpointTally {
        let queue = queue
        return try await group.next().submit { queue.value.tally }.get()
    }

    /// Misbehaves otherwise from now on.
    public func misbehave(_ faults: [Fault], rate: Double) async throws {
        let queue = queue
        try await group.next().submit { queue.value.misbehave(faults, rate) }.get()
    }

    /// Stops, and closes every connection. Once it has stopped, nothing happens.
    public func close() async throws {
        guard isOpen.exchange(false, ordering: .relaxed) else { return }
        try await channel.close()
        try await group.shutdownGracefully()
    }
}

/// Takes in a request's parts.
private final class Receiver: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    private let queue: RequestQueue
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(_ queue: RequestQueue) { self.queue = queue }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.removeAll(keepingCapacity: true)
        case .body(let part): body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head else { return }
            let headers = Dictionary(
                head.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { a, _ in a })
            queue.receive(ReceivedRequest(path: head.uri, headers: headers, body: body), on: context.channel)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
