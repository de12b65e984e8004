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

    /// All that was spent.
    public var spent: Usage { usage.withLock { $0 } }

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

    func add(_ completions: [Completion], from model: String) throws {
        let total = completions.reduce(Usage()) { $0 + $1.usage }
        usage.withLock { $0 = $0 + total }
        try record(total)
        let isLimited = tokens != nil || money != nil
        guard !isLimited || total.promptTokens > 0 else { throw BudgetError.unmetered(model: model) }
    }

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
                do {
                    try budget.check()
                    for try await event in inner.stream(request) {
                        if case .finished(_, let completion) = event { completions.append(completion) }
                        continuation.yield(event)
                    }
                    try budget.add(completions, from: identity)
                    continuation.finish()
                } catch {
                    // Samples that came before others failed, or before the request was cancelled, are paid.
                    if !completions.isEmpty { try? budget.add(completions, from: identity) }
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
        try budget.add(completions, from: identity)
        return completions
    }
}

/// A budget that ended a run, or that cannot be kept.
public enum BudgetError: RunHalting, CustomStringConvertible, Equatable {
    /// Nothing is left: what was used, of what.
    case spent(String)
    /// Money is limited and nobody said what the model asks.
    case unknownPrice(model: String)
    /// A limit is set and the server counts no tokens.
    case unmetered(model: String)

    /// Every task would meet it.
    public var haltsRun: Bool { true }

    public var description: String {
        switch self {
        case .spent(let amount):
            "the teacher's budget is spent: \(amount); raise 'teacher.budget' and run again to go on where it stands"
        case .unknownPrice(let model):
            "money is limited but the price of '\(model)' is not known; "
                + "add it to 'teacher.prices' as {input: …, output: …} for a million tokens"
        case .unmetered(let model):
            "the server of '\(model)' does not tell how many tokens it used, so no budget can be kept; "
                + "take 'teacher.budget' away or use another server"
        }
    }
}
