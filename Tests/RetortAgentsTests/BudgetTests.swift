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

    /// Tells of a request, then breaks.
    private struct BreakingModel: LanguageModel {
        struct Broken: Error {}
        let identity = "breaking"
        let events: [GenerationEvent]

        func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
            AsyncThrowingStream { continuation in
                for event in events { continuation.yield(event) }
                continuation.finish(throwing: Broken())
            }
        }
    }

    private static let told = Completion(
        text: "whole", finish: .endOfTurn, usage: Usage(promptTokens: 100, completionTokens: 5))
    private static let untold = Completion(text: "whole", finish: .endOfTurn)

    private static let failures: [([GenerationEvent], Int, Int)] = [
        // A sample that came whole, and the beginning of another.
        ([.finished(sample: 0, told), .text(sample: 1, "abcdef")], 100, 7),
        ([.finished(sample: 0, untold), .text(sample: 1, "abcdef")], 4, 4),
        ([.text(sample: 0, "abcdef")], 4, 2),
        // An attempt that broke off is told by its model, and its text counts once.
        ([.text(sample: 0, "abcdef"), .lost(samples: [0], Usage(promptTokens: 4, completionTokens: 2))], 4, 2),
        (
            [
                .lost(samples: [0, 1], Usage(promptTokens: 4)), .finished(sample: 0, told),
                .lost(samples: [1], Usage(promptTokens: 4, completionTokens: 1)),
            ], 108, 6
        ),
        // Nothing came, and nobody says that anything was read.
        ([], 0, 0),
    ]

    @Test("what a request took that failed is paid, however it is asked", arguments: BudgetTests.failures)
    func broken(events: [GenerationEvent], prompt: Int, completion: Int) async throws {
        let model = BreakingModel(events: events)
        for isStreamed in [false, true] {
            let recorded = Recorded()
            let budget = try Budget(model: "m") { recorded.add($0) }
            let paid = BudgetedModel(model, budget)
            await #expect(throws: BreakingModel.Broken.self) {
                if isStreamed {
                    for try await _ in paid.stream(request) {}
                } else {
                    _ = try await paid.complete(request)
                }
            }
            #expect(budget.spent == Usage(promptTokens: prompt, completionTokens: completion))
            #expect(recorded.sum == budget.spent)
        }
    }

    @Test("a request that is cancelled before anything came may have been read: its prompt is paid")
    func cancelledEarly() async throws {
        struct Silent: LanguageModel {
            let identity = "silent"
            let hasBegun: AsyncStream<Void>.Continuation
            func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
                AsyncThrowingStream { _ in hasBegun.yield() }
            }
        }
        let (begun, continuation) = AsyncStream<Void>.makeStream()
        let budget = try budget()
        let model = BudgetedModel(Silent(hasBegun: continuation), budget)
        let work = Task { try await model.complete(request) }
        for await _ in begun { break }
        work.cancel()
        await #expect(throws: CancellationError.self) { try await work.value }
        #expect(budget.spent == Usage(promptTokens: 4))
    }

    private final class Recorded: Sendable {
        private let usage = Mutex(Usage())
        var sum: Usage { usage.withLock { $0 } }
        func add(_ more: Usage) { usage.withLock { $0 = $0 + more } }
    }
}
