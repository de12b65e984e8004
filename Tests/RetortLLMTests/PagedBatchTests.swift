import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

@Suite("Requests over pages")
struct PagedBatchTests {
    private let folder = seedlings.appendingPathComponent("1m")

    private func request(
        _ text: String, samples: Int = 1, tokens: Int = 24, temperature: Double = 0, seed: UInt64 = 1
    ) -> GenerationRequest {
        GenerationRequest(
            messages: [Message(.user, text)], samples: samples,
            sampling: Sampling(temperature: temperature, seed: seed),
            maximumTokens: tokens)
    }

    private func texts(_ model: LocalModel, _ requests: [GenerationRequest]) async throws -> [[String]] {
        try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for (number, request) in requests.enumerated() {
                group.addTask { (number, try await model.complete(request).map(\.text)) }
            }
            return try await group.reduce(into: Array(repeating: [], count: requests.count)) { $0[$1.0] = $1.1 }
        }
    }

    @Test(
        "an answer does not depend on what else is asked, was asked before, or is drafted",
        .enabled(if: PackedWeight.hasKernels), arguments: [WeightPrecision.bfloat16, .int8, .int4])
    func independent(weights: WeightPrecision) async throws {
        let beginning = String(repeating: "seven plus four is eleven, and then ", count: 12)
        let requests = (0..<12).map { number in
            request(
                beginning + "what is \(number) plus \(number * 7)?", samples: number % 3 + 1,
                temperature: number % 2 == 0 ? 0 : 0.9, seed: UInt64(number))
        }
        let plain = try LocalModel(folder: folder, options: .init(weights: weights, drafts: false))
        var alone: [[String]] = []
        for request in requests { alone.append(try await plain.complete(request).map(\.text)) }
        let busy = try LocalModel(
            folder: folder, options: .init(prefillTokens: 48, weights: weights, prefixTokens: 1 << 14))
        #expect(try await texts(busy, requests) == alone)
        // And once more, with all beginnings known.
        #expect(try await texts(busy, requests) == alone)
    }

    @Test(
        "nor does it where layers carry states, with room for those of three texts",
        .enabled(if: PackedWeight.hasKernels),
        arguments: Family.all.filter { ["LFM2", "Qwen3.5"].contains($0.testDescription) })
    func carried(family: Family) async throws {
        let scratch = try ScratchFolder()
        let network = try family.write(to: scratch.url)
        let state = network.configuration.stateBytes(.bfloat16)
        let page = KeyValuePages.bytes(ofPage: network.configuration, .bfloat16)
        let requests = (0..<6).map { number in
            request(
                "seven plus four is eleven, and what is \(number)?", samples: number == 4 ? 5 : number % 2 + 1,
                tokens: 12, temperature: number % 2 == 0 ? 0 : 0.9, seed: UInt64(number))
        }
        let plain = try LocalModel(folder: scratch.url, options: .init(weights: .bfloat16))
        var alone: [[String]] = []
        for request in requests { alone.append(try await plain.complete(request).map(\.text)) }
        let busy = try LocalModel(
            folder: scratch.url,
            options: .init(
                prefillTokens: 48, weights: .bfloat16, prefixTokens: 1 << 10,
                cacheBytes: max(24 * state, 200 * page)))
        #expect(try await texts(busy, requests) == alone)
        #expect(try await texts(busy, requests) == alone)
        let use = busy.cacheUse
        #expect(use.kept <= use.budget)
    }

    @Test("a request that can never fit is refused; the others share what there is")
    func budget() async throws {
        let page = KeyValuePages.bytes(
            ofPage: try Checkpoint(folder: folder).configuration, WeightPrecision.usual(on: .cpu).dtype)
        let model = try LocalModel(
            folder: folder, options: .init(prefixTokens: 1 << 10, cacheBytes: 12 * page))
        for tokens in [400, Int.max] {
            await #expect(throws: LocalModelError.self) {
                _ = try await model.complete(request("one", tokens: tokens))
            }
        }
        let requests = (0..<9).map { request("what is \($0)?", tokens: 16 + 8 * ($0 % 3)) }
        let found = try await texts(model, requests)
        let roomy = try LocalModel(folder: folder)
        #expect(try await texts(roomy, requests) == found)
        let use = model.cacheUse
        #expect(use.budget == 12 * page)
        #expect(use.running == 0)
    }

    @Test("a shared beginning is held once")
    func shared() async throws {
        let model = try LocalModel(folder: folder, options: .init(maximumSamples: 64, prefixTokens: 1 << 12))
        let beginning = String(repeating: "one two three four five six seven eight nine ten ", count: 12)
        _ = try await texts(model, (0..<40).map { request(beginning + "\($0)", tokens: 4) })
        let page = KeyValuePages.bytes(
            ofPage: try Checkpoint(folder: folder).configuration, WeightPrecision.usual(on: .cpu).dtype)
        let prompt = try await model.complete(request(beginning + "0", tokens: 1))[0].usage.promptTokens
        // Forty tails of a page or two, and the beginning.
        #expect(model.cacheUse.kept / page <= prompt / 16 + 40 * 2)
    }

    @Test("drafts are what followed the last tokens before")
    func lookup() {
        var lookup = PromptLookup([1, 2, 3, 4, 5, 6, 7, 1, 2])
        #expect(lookup.draft(8) == [])
        lookup.append(3)
        #expect(lookup.draft(8) == [4, 5, 6, 7])
        #expect(lookup.draft(2) == [4, 5])
        lookup.learn(right: 4, of: 4)
        #expect(lookup.draft(8) == [4, 5, 6, 7, 1, 2, 3])
        lookup.learn(right: 0, of: 7)
        #expect(lookup.draft(8) == [4, 5])
        lookup.append(9)
        #expect(lookup.draft(8) == [])
    }
}
