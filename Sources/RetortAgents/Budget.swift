import RetortCore
import Synchronization

/// What a model asks for a million tokens, in whatever currency the price table is kept.
public struct Price: Codable, Sendable, Hashable {
    /// For a million tokens of prompts.
    public var input: Double
    /// For a million tokens of replies.
    public var output: Double

    /// Both for a million tokens, in the same currency.
    public init(input: Double, output: Double) {
        self.input = input
        self.output = output
    }

    /// What was spent.
    public func cost(_ usage: Usage) -> Double {
        (Double(usage.promptTokens) * input + Double(usage.completionTokens) * output) / 1e6
    }
}

/// What may be spent, and what was.
public final class Budget: Sendable {
    /// The most tokens, prompts and replies together; nil is no limit.
    public let tokens: Int?
    /// The most money; nil is no limit.
    public let money: Double?
    /// What the model asks; nil when nobody said.
    public let price: Price?
    private let usage: Mutex<Usage>
    private let guessed = Mutex(Usage())
    private let elsewhere = Mutex(Usage())
    private let record: @Sendable (Usage) throws -> Void

    /// - Parameters:
    ///   - spent: by runs before this one.
    ///   - record: notes what replies took, so that the next run knows it.
    /// - Throws: `BudgetError.unknownPrice` when money is limited and the price is not known.
    public init(
        tokens: Int? = nil, money: Double? = nil, price: Price? = nil, model: String, spent: Usage = Usage(),
        record: @escaping @Sendable (Usage) throws -> Void = { _ in }
    ) throws {
        guard money == nil || price != nil else { throw BudgetError.unknownPrice(model: model) }
        self.tokens = tokens
        self.money = money
        self.price = price
        usage = Mutex(spent)
        self.record = record
    }

    /// All that was spent, here and elsewhere.
    public var spent: Usage { usage.withLock { $0 } + elsewhere.withLock { $0 } }

    /// Counts what other processes spent of the same budget by now: all of it, in place of what was said before.
    public func note(elsewhere spent: Usage) { elsewhere.withLock { $0 = spent } }

    /// What of that is an estimate by length, because nobody told the figures.
    public var estimated: Usage { guessed.withLock { $0 } }

    /// What was spent, in money; nil when the price is not known.
    public var cost: Double? { price?.cost(spent) }

    /// - Throws: `BudgetError.spent` when nothing is left.
    func check() throws {
        let spent = spent
        let used = spent.promptTokens + spent.completionTokens
        if let tokens, used >= tokens { throw BudgetError.spent("\(used) of \(tokens) tokens") }
        if let money, let cost, cost >= money {
            throw BudgetError.spent("\(Self.amount(cost)) of \(Self.amount(money))")
        }
    }

    /// Counts what a request took. Where the server does not tell, lengths do, rather too much than too little.
    /// - Parameter unfinished: text of samples that came and did not end.
    func add(_ completions: [Completion], unfinished: String = "", of request: GenerationRequest) throws {
        let told = completions.reduce(Usage()) { $0 + $1.usage }
        var total = told
        let written = completions.map(\.text.utf8.count).reduce(0, +)
        if told.promptTokens == 0 { total.promptTokens = Self.tokens(request.promptBytes) }
        if told.completionTokens == 0 { total.completionTokens = Self.tokens(written) }
        total.completionTokens += Self.tokens(unfinished.utf8.count)
        let guess = Usage(
            promptTokens: total.promptTokens - told.promptTokens,
            completionTokens: total.completionTokens - told.completionTokens)
        guessed.withLock { $0 = $0 + guess }
        usage.withLock { $0 = $0 + total }
        try record(total)
    }

    /// A token has three bytes or more in the texts of most tokenizers and languages.
    private static func tokens(_ bytes: Int) -> Int { (bytes + 2) / 3 }

    /// Two decimals, more for small amounts.
    public static func amount(_ value: Double) -> String {
        let cents = (value * 100).rounded() / 100
        return value == 0 || value >= 0.1 ? "\(cents)" : "\((value * 1e6).rounded() / 1e6)"
    }
}

/// A model that spends a budget. When it is used up, no more requests are made; those under way still finish, so what is
/// spent beyond the limit is at most theirs.
public struct BudgetedModel: LanguageModel {
    private let inner: any LanguageModel
    private let budget: Budget

    /// - Parameter inner: is asked while something is left.
    public init(_ inner: any LanguageModel, _ budget: Budget) {
        self.inner = inner
        self.budget = budget
    }

    /// The inner model's: who pays does not change the weights.
    public var identity: String { inner.identity }

    /// - Throws: `BudgetError` in the stream, before the model is asked when nothing is left; what the model throws.
    public func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { continuation in
            let work = Task {
                var completions: [Completion] = []
                // By sample, of those that have not ended.
                var texts: [Int: String] = [:]
                do {
                    try budget.check()
                    for try await event in inner.stream(request) {
                        switch event {
                        case .text(let sample, let text): texts[sample, default: ""] += text
                        case .token: break
                        case .finished(let sample, let completion):
                            texts[sample] = nil
                            completions.append(completion)
                        }
                        continuation.yield(event)
                    }
                    // A stream whose reader is cancelled just ends.
                    try Task.checkCancellation()
                    try budget.add(completions, of: request)
                    continuation.finish()
                } catch {
                    // What came before others failed, or before the request was cancelled, is paid.
                    let unfinished = texts.sorted { $0.key < $1.key }.map(\.value).joined()
                    if !completions.isEmpty || !unfinished.isEmpty {
                        try? budget.add(completions, unfinished: unfinished, of: request)
                    }
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in work.cancel() }
        }
    }

    /// - Throws: `BudgetError`, and what the model throws.
    public func complete(_ request: GenerationRequest) async throws -> [Completion] {
        try budget.check()
        let completions = try await inner.complete(request)
        try budget.add(completions, of: request)
        return completions
    }
}

extension GenerationRequest {
    /// The length of what the model reads, without the chat template's own words.
    fileprivate var promptBytes: Int {
        switch plain {
        case .text(let text): return text.utf8.count
        case .tokens(let ids): return ids.count * 3
        case nil: break
        }
        let said = messages.map { $0.withCallsAsText.text.utf8.count }.reduce(0, +)
        return said + prefill.utf8.count + (tools?.utf8.count ?? 0)
    }
}

/// A budget that ended a run, or that cannot be kept.
public enum BudgetError: RunHalting, CustomStringConvertible, Equatable {
    /// Nothing is left: what was used, of what.
    case spent(String)
    /// Money is limited and nobody said what the model asks.
    case unknownPrice(model: String)

    /// Every task would meet it.
    public var haltsRun: Bool { true }

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .spent(let amount):
            "the teacher's budget is spent: \(amount); raise 'teacher.budget' and run again to go on where it stands"
        case .unknownPrice(let model):
            "money is limited but the price of '\(model)' is not known; "
                + "add it to 'teacher.prices' as {input: …, output: …} for a million tokens"
        }
    }
}
