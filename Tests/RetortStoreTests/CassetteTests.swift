import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Synchronization
import Testing

@Suite("Cassette")
struct CassetteTests {
    /// Says something new each time it is asked.
    private final class Counting: LanguageModel, Tool {
        let identity = "counting"
        let asked = Mutex(0)
        let fails: Bool
        let specification: ToolSpecification

        init(fails: Bool = false, effect: ToolSpecification.Effect = .pure) {
            self.fails = fails
            specification = ToolSpecification(
                name: "count", summary: "", parameters: [], returns: "number", effect: effect)
        }

        struct Broken: Error {}

        private func next() -> Int {
            asked.withLock { asked in
                asked += 1
                return asked
            }
        }

        func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
            let number = next()
            return AsyncThrowingStream { continuation in
                guard !fails else { return continuation.finish(throwing: Broken()) }
                for sample in 0..<request.samples {
                    let completion = Completion(
                        text: "\(number).\(sample) é", finish: sample == 0 ? .stop("S") : .length,
                        usage: Usage(promptTokens: 1, completionTokens: 2, seconds: 0.25))
                    continuation.yield(.finished(sample: sample, completion))
                }
                continuation.finish()
            }
        }

        func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
            let number = next()
            guard !fails else { throw Broken() }
            return .number(Double(number))
        }
    }

    private func request(_ text: String, seed: UInt64 = 1) -> GenerationRequest {
        GenerationRequest(
            messages: [Message(.user, text)], samples: 2, sampling: Sampling(temperature: 1, seed: seed))
    }

    @Test("what was recorded comes back without the model, to the last field, and each request is asked once")
    func replay() async throws {
        let folder = try ScratchFolder()
        let file = folder.file("c.sqlite")
        let model = Counting()
        let recording = try Cassette(file, .record).model("m", model)
        let first = try await recording.complete(request("a"))
        #expect(try await recording.complete(request("a")) == first)
        let second = try await recording.complete(request("a", seed: 2))
        #expect(second != first && model.asked.withLock { $0 } == 2)
        let replaying = try Cassette(file, .replay).model("m", nil)
        #expect(try await replaying.complete(request("a")) == first)
        #expect(try await replaying.complete(request("a", seed: 2)) == second)
    }

    @Test("what a request took that failed is paid behind a tape, too")
    func paid() async throws {
        struct Half: LanguageModel {
            let identity = "half"
            func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
                AsyncThrowingStream { continuation in
                    let cost = Usage(promptTokens: 7, completionTokens: 5)
                    continuation.yield(
                        .finished(sample: 0, Completion(text: "whole", finish: .endOfTurn, usage: cost)))
                    continuation.yield(.text(sample: 1, "abcdef"))
                    continuation.finish(throwing: Counting.Broken())
                }
            }
        }
        let folder = try ScratchFolder()
        let budget = try Budget(model: "m")
        let model = try Cassette(folder.file("c.sqlite"), .record).model("m", BudgetedModel(Half(), budget))
        await #expect(throws: Counting.Broken.self) { try await model.complete(request("a")) }
        #expect(budget.spent == Usage(promptTokens: 7, completionTokens: 7))
        await #expect(throws: Counting.Broken.self) { for try await _ in model.stream(request("b")) {} }
        #expect(budget.spent == Usage(promptTokens: 14, completionTokens: 14))
    }

    @Test("requests that differ in their grammar alone have replies of their own")
    func grammars() async throws {
        let folder = try ScratchFolder()
        let model = Counting()
        let tape = try Cassette(folder.file("c.sqlite"), .record).model("m", model)
        var constrained = request("a")
        for grammar in [OutputGrammar.text("x"), .text("y"), .json(.boolean), .text("x")] {
            constrained.grammar = grammar
            _ = try await tape.complete(constrained)
        }
        _ = try await tape.complete(request("a"))
        #expect(model.asked.withLock { $0 } == 4)
    }

    @Test("a request that is not on the tape is an error that names it, and halts the run")
    func missing() async throws {
        let folder = try ScratchFolder()
        let file = folder.file("c.sqlite")
        #expect(throws: CassetteError.self) { try Cassette(file, .replay) }
        _ = try await Cassette(file, .record).model("m", Counting()).complete(request("a"))
        let replaying = try Cassette(file, .replay).model("m", Counting())
        let error = await #expect(throws: CassetteError.self) {
            try await replaying.complete(request("Who is Ana?"))
        }
        #expect(error?.haltsRun == true && "\(String(describing: error))".contains("Who is Ana?"))
    }

    @Test("a failure is on tape, too, until the request succeeds")
    func failure() async throws {
        let folder = try ScratchFolder()
        let file = folder.file("c.sqlite")
        let failing = try Cassette(file, .record).model("m", Counting(fails: true))
        await #expect(throws: Counting.Broken.self) { try await failing.complete(request("a")) }
        let replaying = try Cassette(file, .replay).model("m", nil)
        let error = await #expect(throws: CassetteError.self) { try await replaying.complete(request("a")) }
        #expect(error?.haltsRun == false && "\(String(describing: error))".contains("Broken"))
        _ = try await Cassette(file, .record).model("m", Counting()).complete(request("a"))
        #expect(try await Cassette(file, .replay).model("m", nil).complete(request("a")).count == 2)
    }

    @Test("tools keep their results and errors; those with effects keep each call's own")
    func tools() async throws {
        let folder = try ScratchFolder()
        let file = folder.file("c.sqlite")
        let (pure, external) = (Counting(), Counting(effect: .external))
        let tape = try Cassette(file, .record)
        let tool = tape.tool(pure)
        #expect(try await tool.call(["a": 1]) == .number(1))
        #expect(try await tool.call(["a": 1]) == .number(1))
        #expect(try await tool.call(["a": .number(1)]) == .number(2))
        let effect = tape.tool(external)
        for number in 1...2 { #expect(try await effect.call(["b": 1]) == .number(Double(number))) }
        let replay = try Cassette(file, .replay)
        let again = replay.tool(Counting(effect: .external))
        for number in 1...2 { #expect(try await again.call(["b": 1]) == .number(Double(number))) }
        await #expect(throws: CassetteError.self) { try await again.call(["b": 1]) }
        #expect(try await replay.count() == 4)
    }

    @Test("a run that goes on makes its calls with effects anew, and they are taped behind the others")
    func resumed() async throws {
        let folder = try ScratchFolder()
        let file = folder.file("c.sqlite")
        let external = Counting(effect: .external)
        for number in 1...3 {
            // Each time another process with the same tape.
            let tool = try Cassette(file, .record).tool(external)
            #expect(try await tool.call(["b": 1]) == .number(Double(number)))
        }
        let again = try Cassette(file, .replay).tool(Counting(effect: .external))
        for number in 1...3 { #expect(try await again.call(["b": 1]) == .number(Double(number))) }
        await #expect(throws: CassetteError.self) { try await again.call(["b": 1]) }
    }
}
