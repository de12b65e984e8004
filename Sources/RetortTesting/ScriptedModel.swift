import RetortCore
import Synchronization

/// A language model that says what a test tells it to, and keeps what it was asked.
///
/// ```swift
/// let model = ScriptedModel("Action: add\nAction Input: {\"a\": 2, \"b\": 3}", "conclusion: 5")
/// let agent = ToolAgent(model: RoleModel(model), tools: [ToolDocument(add.specification)])
/// // … run the agent …
/// #expect(model.requests.count == 2)
/// ```
public final class ScriptedModel: LanguageModel {
    /// Makes the samples of a request. The number counts the requests from 0.
    public typealias Answering = @Sendable (_ request: GenerationRequest, _ number: Int) async throws -> [Completion]

    /// What every scripted sample costs unless the script says otherwise: one prompt token, ten written ones, half a second.
    public static let cost = Usage(promptTokens: 1, completionTokens: 10, seconds: 0.5)

    /// The name that records show.
    public let identity: String
    private let answering: Answering
    private let asked = Mutex<[GenerationRequest]>([])

    /// A model that computes its samples.
    /// - Parameters:
    ///   - identity: the name that records show.
    ///   - answering: makes a request's samples, `request.samples` of them unless the test is about too few; what it throws ends the
    ///     stream. It is cancelled with the stream.
    public init(identity: String = "scripted", answering: @escaping Answering) {
        self.identity = identity
        self.answering = answering
    }

    /// A model that gives one reply after the other, the same to every sample of a request, and `ScriptEnded` after the last.
    public convenience init(_ replies: String...) {
        self.init { request, number in
            guard number < replies.count else { throw ScriptEnded(replies: replies.count) }
            return Self.samples(replies[number], of: request)
        }
    }

    /// A model that gives each request the samples that the script has for it, and `ScriptEnded` after the last.
    /// - Parameter script: the samples' texts, request by request.
    public convenience init(_ script: [[String]]) {
        self.init(completions: script.map { $0.map { Completion(text: $0, finish: .endOfTurn, usage: Self.cost) } })
    }

    /// The same with samples of which more is said than their text.
    /// - Parameter script: the samples, request by request.
    public convenience init(completions script: [[Completion]]) {
        self.init { _, number in
            guard number < script.count else { throw ScriptEnded(replies: script.count) }
            return script[number]
        }
    }

    /// A model that always says the same.
    /// - Parameter usage: what each sample costs.
    public convenience init(always text: String, usage: Usage = ScriptedModel.cost) {
        self.init { request, _ in Self.samples(text, of: request, usage) }
    }

    /// A model that answers by a rule, the same to every sample of a request.
    /// - Parameter rule: gives a request's reply; what it throws ends the stream.
    public convenience init(
        identity: String = "scripted", replying rule: @escaping @Sendable (GenerationRequest) async throws -> String
    ) {
        self.init(identity: identity) { request, _ in Self.samples(try await rule(request), of: request) }
    }

    /// What it was asked so far, in order.
    public var requests: [GenerationRequest] { asked.withLock { $0 } }

    /// Each sample's text in one piece, then its end.
    public func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        let number = asked.withLock { asked in
            asked.append(request)
            return asked.count - 1
        }
        return .whole { [answering] in try await answering(request, number) }
    }

    private static func samples(
        _ text: String, of request: GenerationRequest, _ usage: Usage = cost
    ) -> [Completion] {
        Array(repeating: Completion(text: text, finish: .endOfTurn, usage: usage), count: request.samples)
    }
}

/// A scripted model was asked once more than its script has replies.
public struct ScriptEnded: Error, Equatable, CustomStringConvertible {
    /// How many replies there were.
    public var replies: Int

    /// - Parameter replies: how many there were.
    public init(replies: Int) { self.replies = replies }

    /// What happened, and what to do.
    public var description: String {
        "the script has \(replies) replies and was asked for another; add one, or end the run earlier"
    }
}
