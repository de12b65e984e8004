import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import RetortStore
import Synchronization

/// A call that passes through a recorder, held until its outcome is known. It is recorded once.
final class RecordedExchange: Sendable {
    private let api: RecordedAPI
    private let request: RecordedRequest
    private let recorder: TrajectoryRecorder
    private let logger: Logger
    /// Texts that no failure message may repeat, even if a server echoes them.
    private let secrets: [String]
    private let started = ContinuousClock.now
    private let isOver = Mutex(false)

    /// Nil for requests that do not belong in a trajectory. If a model's request has messages that cannot be read,
    /// that is logged.
    /// - Parameter key: the recorder's own, which the upstream may be sent.
    init?(_ asked: Request, _ body: ByteBuffer, key: String?, _ recorder: TrajectoryRecorder, _ logger: Logger) {
        guard let api = Self.api(of: asked) else { return nil }
        self.api = api
        do {
            request = try RecordedRequest(json: body.readableBytesView, api)
        } catch {
            let reason = APIError.shown(message: "\(error)")
            logger.warning("a call passed that cannot be recorded", metadata: ["reason": "\(reason)"])
            return nil
        }
        self.recorder = recorder
        self.logger = logger
        let sent = asked.headers.filter { Self.secretHeaders.contains($0.name.canonicalName) }.flatMap { field in
            [field.value] + field.value.split(separator: " ").map(String.init).suffix(1)
        }
        secrets = (sent + [key].compactMap(\.self)).filter { $0.count >= Self.shortestSecret }
    }

    /// The interface that a request belongs to; nil for one that is not recorded.
    static func api(of asked: Request) -> RecordedAPI? {
        guard asked.method == .post else { return nil }
        return switch asked.uri.path {
        case let path where path.hasSuffix("/chat/completions"): .chatCompletions
        case let path where path.hasSuffix("/messages"): .messages
        default: nil
        }
    }

    /// Shorter values of headers are no keys, and stand in many a message.
    private static let shortestSecret = 4
    /// How much of a failure's message is recorded, in characters.
    private static let longestMessage = 500

    private static let secretHeaders: Set = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"]

    /// Records the outcome of the call.
    func end(_ kept: KeptBytes, _ status: HTTPResponse.Status, isStream: Bool) async {
        guard !kept.isTooLong else { return await record(.failure(.unreadable("it is too long to be recorded"))) }
        guard status.kind == .successful else {
            // Blotted out before it is cut: a cut through a key would leave its beginning.
            let text = plain(String(decoding: kept.bytes, as: UTF8.self)).prefix(Self.longestMessage)
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
        let replies = replies.mapError(withoutSecrets)
        let seconds = started.duration(to: .now) / .seconds(1)
        do {
            // A client that leaves must not cancel the recording of its call.
            try await Task { [recorder, request] in
                try await recorder.record(request, replies, seconds: seconds)
            }.value
        } catch {
            let reason = APIError.shown(message: "\(error)")
            logger.error("a call could not be recorded", metadata: ["reason": "\(reason)"])
        }
    }

    private func withoutSecrets(_ error: RecordingError) -> RecordingError {
        switch error {
        case .unreadable(let reason): .unreadable(plain(reason))
        case .broken(let reason): .broken(plain(reason))
        }
    }

    /// A text of the upstream's with all keys blotted out.
    private func plain(_ text: String) -> String {
        secrets.reduce(text) { $0.replacingOccurrences(of: $1, with: "[key]") }
    }
}
