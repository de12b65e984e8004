/// Anything that continues a chat: a checkpoint in this process, or a server elsewhere.
public protocol LanguageModel: Sendable {
    /// A name that identifies the weights, for records and reports.
    var identity: String { get }

    /// Continues a chat, as events while it happens. Ending the iteration cancels the work.
    ///
    /// Every sample ends with exactly one `.finished`; an error ends the whole stream.
    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error>

    /// What is known of the reply to a request: of its form, and of how tokens are drawn where the request does not say.
    func profile(of request: GenerationRequest) -> ReplyProfile
}

extension LanguageModel {
    /// Nothing is known of most models.
    public func profile(of request: GenerationRequest) -> ReplyProfile { ReplyProfile() }

    /// Continues a chat and waits for all samples, in sample order.
    public func complete(_ request: GenerationRequest) async throws -> [Completion] {
        var finished: [Int: Completion] = [:]
        for try await event in stream(request) {
            if case .finished(let sample, let completion) = event { finished[sample] = completion }
        }
        // A stream whose reader is cancelled just ends.
        try Task.checkCancellation()
        return try (0..<request.samples).map { sample in
            guard let completion = finished[sample] else { throw LanguageModelError.sampleMissing(sample) }
            return completion
        }
    }
}

/// A model that answers with one of its adapters.
public struct AdaptedModel: LanguageModel {
    private let model: any LanguageModel
    private let adapter: String
    /// The name that records show.
    public let identity: String

    /// - Parameter identity: nil is the model's and the adapter's.
    public init(_ model: any LanguageModel, adapter: String, identity: String? = nil) {
        self.model = model
        self.adapter = adapter
        self.identity = identity ?? "\(model.identity)+\(adapter)"
    }

    /// The model's events for the request as it is changed here.
    public func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        var request = request
        request.adapter = adapter
        return model.stream(request)
    }

    /// The adapter's.
    public func profile(of request: GenerationRequest) -> ReplyProfile {
        var request = request
        request.adapter = adapter
        return model.profile(of: request)
    }
}

/// A model whose completions are held to one grammar, whatever the request says.
public struct ConstrainedModel: LanguageModel {
    private let model: any LanguageModel
    private let grammar: OutputGrammar?

    /// - Parameter grammar: which the model must be able to honour; nil lets it write what it likes.
    public init(_ model: any LanguageModel, to grammar: OutputGrammar?) {
        self.model = model
        self.grammar = grammar
    }

    /// The model's own.
    public var identity: String { model.identity }

    /// The model's events for the request as it is changed here.
    public func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        var request = request
        request.grammar = grammar
        return model.stream(request)
    }

    /// The model's own.
    public func profile(of request: GenerationRequest) -> ReplyProfile { model.profile(of: request) }
}

/// What went wrong between a request and its completions.
public enum LanguageModelError: Error, CustomStringConvertible {
    case sampleMissing(Int)
    case promptTooLong(tokens: Int, limit: Int)
    case unknownAdapter(String, known: [String])
    case unusablePrompt(String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .sampleMissing(let sample): "the model ended without finishing sample \(sample)"
        case .promptTooLong(let tokens, let limit):
            "the prompt is \(tokens) tokens long, and the model's context holds \(limit); "
                + "shorten the prompt (an agent's observations), or raise the context"
        case .unknownAdapter(let name, let known):
            "the model has no adapter '\(name)'; it has "
                + (known.isEmpty ? "none" : known.sorted().joined(separator: ", "))
        case .unusablePrompt(let reason): "the prompt cannot be used: \(reason)"
        }
    }
}

/// A chat to continue, and how.
public struct GenerationRequest: Sendable {
    /// The chat so far; the model writes the next assistant message.
    public var messages: [Message]
    /// The start of the assistant message, already fixed (first-thought prefix). Not repeated in the completion.
    public var prefill: String
    /// How many independent samples to draw.
    public var samples: Int
    /// How tokens are chosen.
    public var sampling: Sampling
    /// Texts that end a sample. They are not part of the completion.
    public var stops: [String]
    /// The most tokens a sample may have.
    public var maximumTokens: Int
    /// Which of the model's adapters answers, by name; nil is the model as it is.
    public var adapter: String?
    /// What is continued in place of the chat, as it stands; `messages`, `prefill` and `tools` are then not looked at.
    public var plain: PlainPrompt?
    /// Functions that the chat template describes to the model: a JSON array in OpenAI's form, whose members are written
    /// in the order they have here.
    public var tools: String?
    /// What else the chat template is told, such as `{"enable_thinking": false}`: a JSON object.
    public var templateArguments: String?
    /// What is reported of the tokens, by `.token` events and in the completions.
    public var report: TokenReport
    /// With how many of the likeliest tokens beside it each token of the prompt is reported in the completions, as vLLM's
    /// `prompt_logprobs` has it; nil reports none of them. A model that cannot tell throws, or leaves them out.
    public var promptReport: Int?
    /// What the completion may be; nil for anything. A model that cannot honour it throws.
    public var grammar: OutputGrammar?

    /// A request with the usual settings: one greedy sample.
    public init(
        messages: [Message], prefill: String = "", samples: Int = 1, sampling: Sampling = .greedy,
        stops: [String] = [], maximumTokens: Int = 1024, adapter: String? = nil,
        plain: PlainPrompt? = nil, tools: String? = nil, templateArguments: String? = nil, report: TokenReport = .none,
        promptReport: Int? = nil, grammar: OutputGrammar? = nil
    ) {
        self.grammar = grammar
        self.promptReport = promptReport
        self.templateArguments = templateArguments
        self.adapter = adapter
        self.plain = plain
        self.tools = tools
        self.report = report
        self.messages = messages
        self.prefill = prefill
        self.samples = samples
        self.sampling = sampling
        self.stops = stops
        self.maximumTokens = maximumTokens
    }
}

/// How the next token is chosen.
public struct Sampling: Codable, Sendable, Hashable {
    /// 0 is greedy; otherwise logits are divided by it.
    public var temperature: Double
    /// Nucleus: the smallest set of tokens whose probability reaches it. 1 keeps all.
    public var topP: Double
    /// The most likely tokens kept. 0 keeps all.
    public var topK: Int
    /// Sample `i` of a request draws from a generator seeded with this and `i`.
    public var seed: UInt64
    /// Whether sample 0 of a request is the greedy one instead of a drawn one.
    public var firstIsGreedy: Bool

    /// The whole vocabulary unless cut by `topP` or `topK`.
    public init(
        temperature: Double, topP: Double = 1, topK: Int = 0, seed: UInt64 = 0, firstIsGreedy: Bool = false
    ) {
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.seed = seed
        self.firstIsGreedy = firstIsGreedy
    }

    /// How one sample of a request chooses its tokens.
    public func forSample(_ index: Int) -> Sampling { firstIsGreedy && index == 0 ? .greedy : self }

    /// Always the most likely token.
    public static let greedy = Sampling(temperature: 0)
}

/// What a model reports while it writes.
public enum GenerationEvent: Sendable {
    /// More text of a sample. Text that may still turn out to be a stop string is held back.
    case text(sample: Int, String)
    /// Another token of a sample, before the text that it completes; only when the request asks for a report.
    case token(sample: Int, GeneratedToken)
    /// A sample is complete.
    case finished(sample: Int, Completion)
    /// An attempt at these samples broke off: what it took is paid, and part of no completion. Where they are asked for
    /// again, their text so far counts for nothing.
    case lost(samples: [Int], Usage)
}

extension AsyncThrowingStream<GenerationEvent, any Error> {
    /// The events of a model that gives its samples all at once, each as one text. Ending the iteration cancels the work.
    package static func whole(_ complete: @escaping @Sendable () async throws -> [Completion]) -> Self {
        AsyncThrowingStream { continuation in
            let work = Task {
                do {
                    for (sample, completion) in try await complete().enumerated() {
                        continuation.yield(.text(sample: sample, completion.text))
                        continuation.yield(.finished(sample: sample, completion))
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in work.cancel() }
        }
    }
}

extension Usage {
    /// About how many tokens a text has, rather too many than too few: a token has three bytes or more in the texts of
    /// most tokenizers and languages.
    package static func tokens(inBytes count: Int) -> Int { (count + 2) / 3 }
}

extension GenerationRequest {
    /// About how many tokens the model reads, without the chat template's own words.
    package var estimatedPromptTokens: Int {
        switch plain {
        case .text(let text): return Usage.tokens(inBytes: text.utf8.count)
        case .tokens(let ids): return ids.count
        case nil: break
        }
        let said = messages.map { $0.withCallsAsText.text.utf8.count }.reduce(0, +)
        return Usage.tokens(inBytes: said + prefill.utf8.count + (tools?.utf8.count ?? 0))
    }
}

/// One finished sample.
public struct Completion: Sendable, Hashable {
    /// Why the sample ended.
    public enum Finish: Sendable, Hashable {
        /// The model's own end-of-turn token.
        case endOfTurn
        /// One of the request's stop texts.
        case stop(String)
        /// The token limit or the model's context.
        case length
    }

    /// The text, without prefill and stop text.
    public var text: String
    /// Why it ended.
    public var finish: Finish
    /// What it cost. Prompt tokens are counted on the request's first sample only.
    public var usage: Usage
    /// The tokens, when the request asks for a report and the model tells; a model in this process renders the same text
    /// to the same tokens again.
    public var tokens: TokenIDs?
    /// All that was written, token by token, the one that ended the turn and those of a stop text included; empty unless
    /// the request asks for a report.
    public var report: [GeneratedToken]
    /// The prompt, token by token, where the request asks for its report: how probable each was after those before it. The first
    /// has no probability, for nothing stands before it.
    public var promptReport: [GeneratedToken] = []

    /// - Parameter usage: what the sample cost.
    public init(
        text: String, finish: Finish, usage: Usage = Usage(), tokens: TokenIDs? = nil, report: [GeneratedToken] = []
    ) {
        self.text = text
        self.finish = finish
        self.usage = usage
        self.tokens = tokens
        self.report = report
    }
}
