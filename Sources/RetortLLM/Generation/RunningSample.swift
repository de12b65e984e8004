import Foundation
import RetortCore
import Synchronization

/// A request on its way through the model.
final class PendingRequest: Sendable {
    let request: GenerationRequest
    /// The tokenizer and template in which it is asked and answered.
    let voice: Voice
    private let continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
    private let state = Mutex(State())

    private struct State {
        var isCancelled = false
        var prompt: [Int32] = []
        var adapter: Int?
        var constraint: TokenConstraint?
        var unfinished: Int?
        var isFailed = false
        var countedSeconds = 0.0
    }

    init(
        _ request: GenerationRequest, _ voice: Voice,
        _ continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
    ) {
        self.request = request
        self.voice = voice
        self.continuation = continuation
    }

    /// The rendered prompt; set once, before the request waits.
    var prompt: [Int32] {
        get { state.withLock { $0.prompt } }
        set { state.withLock { $0.prompt = newValue } }
    }

    /// The number of the adapter that answers; set once, before the request waits.
    var adapter: Int? {
        get { state.withLock { $0.adapter } }
        set { state.withLock { $0.adapter = newValue } }
    }

    /// The grammar that each sample must follow; set once, before the request waits.
    var constraint: TokenConstraint? {
        get { state.withLock { $0.constraint } }
        set { state.withLock { $0.constraint = newValue } }
    }

    /// The most tokens of one sample, including those of its prompt, which has fewer than `contextLength`.
    func mostTokens(contextLength: Int) -> Int {
        let prompt = prompt.count
        return prompt + max(min(request.maximumTokens, contextLength - prompt), 1)
    }

    /// The part of the first `seconds` of this request that was not counted for one of its samples before. Samples
    /// run side by side, so each second counts for the first one that ends after it.
    func uncounted(_ seconds: Double) -> Double {
        state.withLock { state in
            defer { state.countedSeconds = max(state.countedSeconds, seconds) }
            return max(seconds - state.countedSeconds, 0)
        }
    }

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    func cancel() { state.withLock { $0.isCancelled = true } }

    /// The most events that wait for a reader: as many as a batch of full answers has.
    static let longestBacklog = 1 << 18

    func yield(_ event: GenerationEvent) {
        if case .dropped = continuation.yield(event) {
            return finish(throwing: LocalModelError.slowReader(events: Self.longestBacklog))
        }
        guard case .finished = event else { return }
        let left = state.withLock { state in
            let left = (state.unfinished ?? request.samples) - 1
            state.unfinished = left
            return left
        }
        if left == 0 { continuation.finish() }
    }

    /// Whether it ended with an error.
    var isFailed: Bool { state.withLock { $0.isFailed } }

    func finish(throwing error: any Error) {
        state.withLock { ($0.isCancelled, $0.isFailed) = (true, true) }
        continuation.finish(throwing: error)
    }
}

/// A sample that is being generated. It belongs to the model's actor.
final class RunningSample {
    let pending: PendingRequest
    /// The sample's number within its request.
    let index: Int
    /// The number of tokens in the cache.
    private(set) var length: Int
    /// The token that the next step reads.
    private(set) var lastToken = 0
    var isFinished = false
    private let tokenizer: Tokenizer
    private var constraint: TokenConstraint?
    private var written: [Int32] = []
    private var reported: [GeneratedToken] = []
    private var promptReport: [GeneratedToken] = []
    private var text = ""
    private var generator: SeededGenerator
    private var decoder: StreamDecoder
    private var matcher: StopMatcher
    private let start = ContinuousClock.now

    /// How many tokens are reserved for bringing a text with a grammar to its end.
    private static let closingTokens = 64

    init(_ pending: PendingRequest, index: Int) {
        let tokenizer = pending.voice.tokenizer
        self.pending = pending
        self.index = index
        self.tokenizer = tokenizer
        constraint = pending.constraint
        length = pending.prompt.count
        generator = SeededGenerator(seed: pending.request.sampling.seed, "sample \(index)")
        decoder = StreamDecoder(tokenizer)
        matcher = StopMatcher(pending.request.stops)
    }

    /// How this sample wants its next tokens; draws count only for the tokens that it accepts.
    func choices(_ count: Int) -> [TokenChooser.Row] {
        let sampling = pending.request.sampling.forSample(index)
        var ahead = generator
        return (0..<count).map { _ in
            TokenChooser.Row(
                sampling: sampling, draw: sampling.temperature > 0 ? Double.random(in: 0..<1, using: &ahead) : 0,
                alternatives: pending.request.report.alternatives, constraint: constraint)
        }
    }

    /// How many tokens may still be generated.
    func room(contextLength: Int) -> Int {
        min(pending.request.maximumTokens - written.count, contextLength - length - 1)
    }

    /// The tokens in the cache: all except the last generated one.
    var cached: [Int32] { (pending.prompt + written).prefix(length).map(\.self) }

    /// The step that read `lastToken` has added it to the cache.
    func advance() { length += 1 }

    func accept(_ choice: TokenChooser.Choice, contextLength: Int) {
        let endTokens = pending.voice.endTokens
        let token = choice.token
        if pending.request.sampling.forSample(index).temperature > 0 { _ = Double.random(in: 0..<1, using: &generator) }
        lastToken = token
        written.append(Int32(token))
        if pending.request.report != .none { report(choice, endsTurn: endTokens.contains(token)) }
        if endTokens.contains(token) { return finish(.endOfTurn) }
        let (shown, stop) = matcher.push(decoder.push(Int32(token)))
        emit(shown)
        if let stop { return finish(.stop(stop)) }
        constraint?.accept(token)
        // Enough tokens are reserved for what the grammar still requires.
        let limit = pending.request.maximumTokens
        if written.count == limit - min(Self.closingTokens, limit / 2) { constraint?.close() }
        // Only the end of the turn could follow, so the model need not be asked.
        if constraint?.isExhausted == true { return finish(.endOfTurn) }
        if written.count >= pending.request.maximumTokens || length + 1 >= contextLength { finish(.length) }
    }

    /// Takes the probabilities of the prompt's tokens, except for the first, which nothing precedes.
    func reportPrompt(_ choices: [TokenChooser.Choice]) {
        guard pending.request.promptReport != nil, let first = pending.prompt.first else { return }
        promptReport = [told(TokenChooser.Choice(token: Int(first)))] + choices.map { told($0) }
    }

    private func report(_ choice: TokenChooser.Choice, endsTurn: Bool) {
        let token = told(choice, endsTurn: endsTurn)
        reported.append(token)
        pending.yield(.token(sample: index, token))
    }

    private func told(_ choice: TokenChooser.Choice, endsTurn: Bool = false) -> GeneratedToken {
        func bytes(_ token: Int) -> [UInt8] { tokenizer.bytes(of: Int32(token), specials: .kept) }
        return GeneratedToken(
            id: Int32(choice.token), bytes: bytes(choice.token), logprob: choice.logprob.map(Double.init),
            alternatives: choice.alternatives.map {
                GeneratedToken.Alternative(id: Int32($0.token), bytes: bytes($0.token), logprob: Double($0.logprob))
            }, endsTurn: endsTurn)
    }

    private func emit(_ shown: String) {
        guard !shown.isEmpty else { return }
        text += shown
        pending.yield(.text(sample: index, shown))
    }

    private func finish(_ reason: Completion.Finish) {
        isFinished = true
        var reason = reason
        if case .stop = reason {
        } else {
            let (shown, stop) = matcher.push(decoder.finish())
            emit(shown)
            if let stop { reason = .stop(stop) } else { emit(matcher.flush()) }
        }
        let usage = Usage(
            promptTokens: index == 0 ? pending.prompt.count : 0, completionTokens: written.count,
            seconds: pending.uncounted(start.duration(to: .now) / .seconds(1)))
        let tokens =
            pending.request.report == .none && pending.request.promptReport == nil
            ? nil : TokenIDs(prompt: pending.prompt, completion: written)
        var completion = Completion(text: text, finish: reason, usage: usage, tokens: tokens, report: reported)
        completion.promptReport = promptReport
        pending.yield(.finished(sample: index, completion))
    }
}

extension TokenReport {
    fileprivate var alternatives: Int? { if case .logprobs(let alternatives) = self { alternatives } else { nil } }
}
