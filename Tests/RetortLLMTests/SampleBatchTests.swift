import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

/// What holds for requests however their keys and values are stored.
@Suite("Requests side by side")
struct SampleBatchTests {
    private let questions = ["what is seven plus four?", "name a town and a river", "how many legs has a spider?"]

    @Test(
        "the seconds of a request's samples are those from its beginning to its last one's end",
        arguments: BatchByHand.Kind.allCases)
    func seconds(kind: BatchByHand.Kind) async throws {
        let hand = try BatchByHand(kind)
        let clock = ContinuousClock()
        let asked = clock.now
        let reply = try hand.ask(questions[1], samples: 4, tokens: 48, temperature: 1.5)
        hand.batch.round()
        let begun = clock.now
        var last = begun
        while !hand.batch.isEmpty {
            last = clock.now
            hand.batch.round()
        }
        let ended = clock.now
        var seconds: [Double] = []
        var lengths: Set<Int> = []
        for try await case .finished(_, let completion) in reply {
            seconds.append(completion.usage.seconds)
            lengths.insert(completion.usage.completionTokens)
        }
        #expect(seconds.count == 4)
        #expect(lengths.count > 1)
        #expect(seconds.allSatisfy { $0 >= 0 })
        let sum = seconds.reduce(0, +)
        #expect(sum >= begun.duration(to: last) / .seconds(1))
        #expect(sum <= asked.duration(to: ended) / .seconds(1))
    }
}
