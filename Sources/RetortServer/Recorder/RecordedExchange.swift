import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import RetortStore
import Synchronization

/// A call that passes a recorder: what was asked, until it is known what came of it. It is recorded once.
final class RecordedExchange: Sendable {
    private let api: RecordedAPI
    private let request: RecordedRequest
    private let recorder: TrajectoryRecorder
    private let logger: Logger
    private let started = ContinuousClock.now
    private let isOver = Mutex(false)

    /// Nil for requests of which no trajectory is made. One of a model whose messages cannot be read is told in the log.
    init?(_ request: Request, _ body: ByteBuffer, _ recorder: TrajectoryRecorder, limit: Int, _ logger: Logger) {
        guard request.method == .post else { return nil }
        switch request.uri.path {
        case let path where path.hasSuffix("/chat/completions"): api = .chatCompletions
        case let path where path.hasSuffix("/messages"): api = .messages
        default: return nil
        }
        do {
            self.request = try RecordedRequest(json: body.readableBytesView, api)
        } catch {
            logger.warning("a call passed that cannot be recorded", metadata: ["reason": "\(error)"])
            return nil
        }
        self.recorder = recorder
        self.logger = logger
    }

    /// Records what came of the call.
    func end(_ kept: KeptBytes, _ status: HTTPResponse.Status, isStream: Bool) async {
        guard !kept.isTooLong else { return await record(.failure(.unreadable("it is too long to be recorded"))) }
        guard status.kind == .successful else {
            let text = String(decoding: kept.bytes.prefix(500), as: UTF8.self)
            return await record(.failure(.broken("the model's server answered \(status.code): \(text)")))
        }
        do {
            let replies =
                try isStream
                ? RecordedReply.replies(events: kept.bytes, api) : RecordedReply.replies(json: kept.bytes, api)
            await record(.success(replies))
        } catch let error as RecordingError {
            await record(.failure(error))
        } catch {
            await record(.failure(.unreadable("\(error)")))
        }
    }

    func fail(_ reason: String) async { await record(.failure(.broken(reason))) }

    private func record(_ replies: Result<[Dialogue.Reply], RecordingError>) async {
        let isFirst = isOver.withLock { isOver in
            defer { isOver = true }
            return !isOver
        }
        guard isFirst else { return }
        let seconds = started.duration(to: .now) / .seconds(1)
        do {
            // A client that leaves must not take its call's record along.
            try await Task { [recorder, request] in
                try await recorder.record(request, replies, seconds: seconds)
            }.value
        } catch {
            logger.error("a call could not be recorded", metadata: ["reason": "\(error)"])
        }
    }
}
