import AsyncHTTPClient
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import RetortCore
import RetortStore
import ServiceLifecycle

/// A proxy in front of a model's server that records what an agent does with the model.
///
/// Everything is passed on unchanged in both directions, streams piece by piece; the calls of `/v1/chat/completions`
/// and `/v1/messages` are joined into trajectories. Headers are passed on but never recorded, so no key is. Only
/// `Accept-Encoding` is left out, so that answers are not compressed. Redirects are passed on, too, not followed.
///
/// A page of another site in a browser cannot use the recorder or its key: requests with the `Origin` of a site that is
/// not on this machine are refused, and so are calls of a model that are not declared as JSON.
///
/// ```swift
/// let recorder = try await TrajectoryRecorder(TrajectoryStore(file))
/// let server = try RecorderServer(recorder, options: RecorderOptions(upstream: "http://127.0.0.1:8000/v1"))
/// try await ServiceGroup(services: [server], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
public struct RecorderServer: Service {
    private let recorder: TrajectoryRecorder
    private let options: RecorderOptions
    private let upstream: RecorderUpstream
    private let logger: Logger
    private let onStart: @Sendable (_ port: Int) async -> Void

    /// - Parameter onStart: called once connections are accepted, with the port.
    /// - Throws: `RecorderError.address` for an upstream that is not an HTTP address.
    public init(
        _ recorder: TrajectoryRecorder, options: RecorderOptions,
        logger: Logger = Logger(label: "retort.recorder"),
        onStart: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) throws {
        self.recorder = recorder
        self.options = options
        self.logger = logger
        self.onStart = onStart
        upstream = try RecorderUpstream(options)
    }

    /// Serves until a graceful shutdown or cancellation.
    /// - Throws: `ServerError` when it cannot listen.
    public func run() async throws {
        var serving = ServerOptions()
        serving.host = options.host
        let router = Router(context: ServerContext.self)
        router.add(middleware: HostMiddleware(options: serving))
        for method in [HTTPRequest.Method.get, .post, .put, .patch, .delete, .head, .options] {
            router.on("**", method: method) { request, context in
                do {
                    return try await pass(request)
                } catch let error as APIError {
                    return error.response
                }
            }
        }
        try await Listening(
            host: options.host, port: options.port, name: nil, idleSeconds: options.seconds,
            mostConnections: options.maximumConnections, logger: logger, onStart: onStart
        ).serve(router)
    }

    // MARK: Passing

    private func pass(_ request: Request) async throws -> Response {
        try HostMiddleware.refuseForeignPage(request)
        if RecordedExchange.api(of: request) != nil { try request.requireJSON() }
        let seconds = options.clientSeconds
        let limit = options.maximumBytes
        let body = try await withTimeLimit(seconds: seconds, late: .slowClient(seconds: seconds)) {
            do {
                return try await request.body.collect(upTo: limit)
            } catch is NIOTooManyBytesError {
                throw APIError.tooLarge(limit: limit)
            }
        }
        let call = RecordedExchange(request, body, key: options.key, recorder, logger)
        let answer: HTTPClientResponse
        do {
            answer = try await upstream.send(request, body)
        } catch {
            try Task.checkCancellation()
            await call?.fail("the model's server could not be reached: \(error)")
            throw APIError(
                status: .badGateway, type: "server_error", code: "upstream_unreachable",
                message: "\(options.upstream) could not be reached: \(error)")
        }
        return respond(answer, call)
    }

    private func respond(_ answer: HTTPClientResponse, _ call: RecordedExchange?) -> Response {
        var headers = HTTPFields()
        for (name, value) in answer.headers where !RecorderUpstream.isHop(name) {
            guard let field = HTTPField.Name(name), field != .contentLength || call == nil else { continue }
            headers.append(HTTPField(name: field, value: value))
        }
        let status = HTTPResponse.Status(code: Int(answer.status.code), reasonPhrase: answer.status.reasonPhrase)
        let isStream = (headers[.contentType] ?? "").hasPrefix("text/event-stream")
        return Response(
            status: status, headers: headers,
            body: ResponseBody { writer in
                var kept = KeptBytes(limit: options.maximumBytes)
                do {
                    for try await piece in answer.body {
                        kept.append(piece)
                        // A client that has the end of the answer may rely on the call being saved.
                        if isStream, kept.isComplete, let call { await call.end(kept, status, isStream: true) }
                        try await writer.write(piece)
                    }
                } catch {
                    await call?.fail("the answer broke off: \(error)")
                    throw error
                }
                await call?.end(kept, status, isStream: isStream)
                try await writer.finish(nil)
            })
    }
}

/// The part of an answer that is kept for recording.
struct KeptBytes {
    private(set) var bytes: [UInt8] = []
    private(set) var isTooLong = false
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    mutating func append(_ piece: ByteBuffer) {
        guard bytes.count + piece.readableBytes <= limit else {
            isTooLong = true
            return
        }
        bytes += piece.readableBytesView
    }

    /// Whether a stream's last event has arrived.
    var isComplete: Bool {
        let end = String(decoding: bytes.suffix(160), as: UTF8.self)
        return end.contains("[DONE]") || end.contains("message_stop")
    }
}

/// A recorder that cannot start.
public enum RecorderError: Error, Equatable, CustomStringConvertible {
    /// The upstream is not an HTTP address.
    case address(String)

    /// The fault and its remedy, for people.
    public var description: String {
        switch self {
        case .address(let address): "'\(address)' is no address of a server; give one such as http://127.0.0.1:8000/v1"
        }
    }
}
