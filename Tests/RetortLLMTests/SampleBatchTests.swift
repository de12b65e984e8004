import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

/// What holds for requests however their keys and values are stored.
@Suite("Requests side by side")
struct SampleBatchTests {
    private let questions = ["what is seven plus four?", "name a town and a river", "how many legs has a spider?"]

    /// The answers to the questions, each alone.
    private func alone(_ kind: BatchByHand.Kind, tokens: Int) async throws -> [[String]] {
        var answers: [[String]] = []
        for question in questions {
            let hand = try BatchByHand(kind)
            let reply = try hand.ask(question, tokens: tokens)
            hand.finish()
            answers.append(try await texts(reply))
        }
        return answers
    }

    @Test("a prompt that cannot be read fails alone", arguments: BatchByHand.Kind.allCases)
    func unreadable(kind: BatchByHand.Kind) async throws {
        let hand = try BatchByHand(kind)
        let first = try hand.ask(questions[0], tokens: 12)
        // The vocabulary has 3,072 tokens.
        let broken = try hand.ask("", tokens: 12, prompt: [5, 99_999, 6])
        let last = try hand.ask(questions[2], tokens: 12)
        hand.finish()
        let expected = try await alone(kind, tokens: 12)
        #expect(try await texts(first) == expected[0])
        #expect(try await texts(last) == expected[2])
        await #expect(throws: TensorError.self) { _ = try await texts(broken) }
    }

    @Test("a step that one answer cannot take is taken by the others", arguments: BatchByHand.Kind.allCases)
    func failingStep(kind: BatchByHand.Kind) async throws {
        let hand = try BatchByHand(kind)
        let first = try hand.ask(questions[0], tokens: 20)
        let broken = try hand.ask(questions[1], samples: 2, tokens: 20, adapter: 7)
        let last = try hand.ask(questions[2], tokens: 20)
        for _ in 0..<4 { hand.batch.round() }
        #expect(hand.batch.cacheUse.sequences == 4)
        try hand.breakAdapter(7)
        hand.batch.round()
        hand.batch.round()
        #expect(hand.batch.cacheUse.sequences == 2)
        hand.finish()
        let expected = try await alone(kind, tokens: 20)
        #expect(try await texts(first) == expected[0])
        #expect(try await texts(last) == expected[2])
        await #expect(throws: TensorError.self) { _ = try await texts(broken) }
    }

    @Test(
        "small requests pass one that has to wait, whether for samples or for memory",
        arguments: BatchByHand.Kind.allCases)
    func passing(kind: BatchByHand.Kind) async throws {
        for (samples, tokens) in [(4, 8), (2, 480)] {
            let hand = try BatchByHand(kind, maximumSamples: 4, cacheTokens: 1024)
            let running = try hand.ask(questions[0], tokens: 200)
            hand.batch.round()
            let large = try hand.ask(questions[1], samples: samples, tokens: tokens)
            let small = try hand.ask(questions[2], tokens: 8)
            hand.batch.round()
            #expect(hand.batch.waitingCount == 1)
            #expect(hand.batch.cacheUse.sequences == 2)
            hand.finish()
            #expect(try await texts(running).count == 1)
            #expect(try await texts(large).count == samples)
            #expect(try await texts(small).count == 1)
        }
    }

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

@Suite("Waiting requests")
struct WaitingRequestsTests {
    private func request(_ samples: Int) throws -> PendingRequest {
        let voice = try Checkpoint(folder: seedlings.appendingPathComponent("1m")).voice
        return PendingRequest(
            GenerationRequest(messages: [], samples: samples), voice, BatchByHand.Reply.makeStream().continuation)
    }

    @Test("one that has to wait is passed for a limited time")
    func passes() throws {
        var waiting = WaitingRequests()
        let (large, small) = (try request(4), try request(1))
        waiting.append(large)
        var begun = 0
        for _ in 0..<WaitingRequests.mostPasses {
            waiting.append(small)
            waiting.admit(running: 1, most: 4) { _ in
                begun += 1
                return true
            }
        }
        #expect(begun == WaitingRequests.mostPasses)
        #expect(waiting.count == 1)
        waiting.append(small)
        waiting.admit(running: 1, most: 4) { _ in
            Issue.record("nobody passes any more")
            return true
        }
        #expect(waiting.count == 2)
        var first: PendingRequest?
        waiting.admit(running: 0, most: 4) { request in
            first = first ?? request
            return true
        }
        #expect(first === large)
        #expect(waiting.count == 1)
    }

    @Test("one with more samples than run at once begins alone, and a cancelled one never")
    func alone() throws {
        var waiting = WaitingRequests()
        let (large, cancelled) = (try request(5), try request(1))
        cancelled.cancel()
        waiting.append(cancelled)
        waiting.append(large)
        waiting.admit(running: 1, most: 4) { _ in
            Issue.record("there is no room")
            return true
        }
        #expect(waiting.count == 1)
        waiting.admit(running: 0, most: 4) { $0 === large }
        #expect(waiting.isEmpty)
    }
}
