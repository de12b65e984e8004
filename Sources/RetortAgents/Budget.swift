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

    /// Counts what a request took.
    fileprivate func add(_ bill: RequestBill, of request: GenerationRequest) throws {
        let (told, guess) = (bill.told, bill.guess(request))
        let total = told + guess
        guard total != Usage() else { return }
        guessed.withLock { $0 = $0 + guess }
        usage.withLock { $0 = $0 + total }
        try record(total)
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
                do {
                    try await spend(on: request) { continuation.yield($0) }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in work.cancel() }
        }
    }

    /// Asks the model, and counts what that takes, however it ends.
    private func spend(on request: GenerationRequest, _ tell: (GenerationEvent) -> Void) async throws {
        try budget.check()
        var bill = RequestBill()
        do {
            for try await event in inner.stream(request) {
                bill.add(event)
                tell(event)
            }
            // A stream whose reader is cancelled just ends.
            try Task.checkCancellation()
        } catch {
            // What came before others failed, or before the request was cancelled, is paid.
            bill.breaksOff(isCancelled: Task.isCancelled)
            try? budget.add(bill, of: request)
            throw error
        }
        try budget.add(bill, of: request)
    }
}

/// What a request took. Where the server does not tell, lengths do, rather too much than too little.
private struct RequestBill {
    private var finished: [Int: Completion] = [:]
    /// The bytes that came of samples that have not ended, by sample.
    private var unfinished: [Int: Int] = [:]
    /// Of attempts that broke off.
    private var lost: Usage?
    /// Whether the prompt was read, should nobody tell so.
    private var hasRead = true

    mutating func add(_ event: GenerationEvent) {
        switch event {
        case .text(let sample, let text): unfinished[sample, default: 0] += text.utf8.count
        case .token: break
        case .finished(let sample, let completion):
            unfinished[sample] = nil
            finished[sample] = completion
        case .lost(let samples, let usage):
            for sample in samples { unfinished[sample] = nil }
            lost = (lost ?? Usage()) + usage
        }
    }

    /// Notes that the request fails. What attempts that broke off have read is in what they took; a request that fails
    /// before anything came has read nothing, and one that is cancelled may have.
    mutating func breaksOff(isCancelled: Bool) {
        hasRead = isCancelled || lost == nil && !(finished.isEmpty && unfinished.isEmpty)
    }

    /// What the server told.
    var told: Usage { finished.values.reduce(Usage()) { $0 + $1.usage } }

    /// What it did not tell.
    func guess(_ request: GenerationRequest) -> Usage {
        let silent = finished.values.filter { $0.usage.completionTokens == 0 }.map(\.text.utf8.count)
        let written = Usage(
            promptTokens: hasRead && told.promptTokens == 0 ? request.estimatedPromptTokens : 0,
            completionTokens: Usage.tokens(inBytes: silent.reduce(0, +))
                + Usage.tokens(inBytes: unfinished.values.reduce(0, +)))
        return written + (lost ?? Usage())
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
