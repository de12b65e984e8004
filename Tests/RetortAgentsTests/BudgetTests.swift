import RetortAgents
import RetortCore
import RetortTesting
import Synchronization
import Testing

/// A model that writes some text and then waits to be cancelled.
private struct HangingModel: LanguageModel {
    let identity = "hanging"
    let hasBegun: AsyncStream<Void>.Continuation

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { continuation in
            continuation.yield(.text(sample: 0, "abcdef"))
            hasBegun.yield()
        }
    }
}

@Suite("What a teacher's budget counts")
struct BudgetTests {
    private let request = GenerationRequest(messages: [Message(.user, "123456789")], prefill: "abc")

    private func budget(tokens: Int? = nil) throws -> Budget {
        try Budget(tokens: tokens, model: "m")
    }

    @Test("what the server tells is taken as it is")
    func told() async throws {
        let budget = try budget()
        let model = BudgetedModel(ScriptedModel([["one", "two"]]), budget)
        var both = request
        both.samples = 2
        _ = try await model.complete(both)
        #expect(budget.spent.promptTokens == 2 && budget.spent.completionTokens == 20)
        #expect(budget.estimated == Usage())
    }

    @Test("a server that tells nothing is counted by length, a token for three bytes, and the estimate says so")
    func silent() async throws {
        for isStreamed in [false, true] {
            let recorded = Recorded()
            let budget = try Budget(tokens: 100, model: "m") { recorded.add($0) }
            let model = BudgetedModel(ScriptedModel(always: "abcd", usage: Usage()), budget)
            if isStreamed {
                for try await _ in model.stream(request) {}
            } else {
                _ = try await model.complete(request)
            }
            #expect(budget.spent.promptTokens == 4 && budget.spent.completionTokens == 2)
            #expect(budget.estimated.promptTokens == 4 && budget.estimated.completionTokens == 2)
            #expect(recorded.sum == budget.spent)
        }
    }

    @Test("such an estimate can end a run")
    func ends() async throws {
        let budget = try budget(tokens: 6)
        let model = BudgetedModel(ScriptedModel(always: "abcd", usage: Usage()), budget)
        _ = try await model.complete(request)
        await #expect(throws: BudgetError.spent("6 of 6 tokens")) { try await model.complete(request) }
        await #expect(throws: BudgetError.spent("6 of 6 tokens")) { for try await _ in model.stream(request) {} }
    }

    @Test("text that came before a request was cancelled is paid, and its prompt")
    func cancelled() async throws {
        let budget = try budget()
        let (begun, continuation) = AsyncStream<Void>.makeStream()
        let recorded = AsyncStream<Void>.makeStream()
        let counting = try Budget(model: "m") { _ in recorded.continuation.yield() }
        let model = BudgetedModel(HangingModel(hasBegun: continuation), counting)
        let work = Task { for try await _ in model.stream(request) {} }
        for await _ in begun { break }
        work.cancel()
        for await _ in recorded.stream { break }
        #expect(counting.spent.promptTokens == 4 && counting.spent.completionTokens == 2)
        #expect(budget.spent == Usage())
    }

    private final class Recorded: Sendable {
        private let usage = Mutex(Usage())
        var sum: Usage { usage.withLock { $0 } }
        func add(_ more: Usage) { usage.withLock { $0 = $0 + more } }
    }
}
