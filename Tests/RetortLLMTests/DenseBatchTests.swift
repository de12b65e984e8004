import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

@Suite("Requests over a dense cache")
struct DenseBatchTests {
    private let folder = seedlings.appendingPathComponent("1m")

    private func model(_ stepping: BatchDecoder.Stepping, cacheTokens: Int? = nil) throws -> LocalModel {
        var options = LocalModel.Options(weights: .float32)
        options.stepping = stepping
        let page = KeyValuePages.bytes(ofPage: try Checkpoint(folder: folder).configuration, .float32)
        if let cacheTokens { options.cacheBytes = cacheTokens * page / KeyValuePages.pageTokens }
        return try LocalModel(folder: folder, options: options)
    }

    private func request(_ text: String, samples: Int = 1, tokens: Int) -> GenerationRequest {
        GenerationRequest(messages: [Message(.user, text)], samples: samples, maximumTokens: tokens)
    }

    @Test(
        "a request that can never fit is refused; the others wait for each other's memory",
        arguments: [BatchDecoder.Stepping.growing, .fixed])
    func budget(stepping: BatchDecoder.Stepping) async throws {
        let (tight, roomy) = (try model(stepping, cacheTokens: 1024), try model(stepping))
        let refusals = [(samples: 9, tokens: 20), (samples: 3, tokens: 600), (samples: 1, tokens: Int.max)]
        for (samples, tokens) in refusals {
            let refused = request("one", samples: samples, tokens: tokens)
            let error = await #expect(throws: LocalModelError.self) { _ = try await tight.complete(refused) }
            guard case .tooLarge(_, limit: 1024) = error else {
                Issue.record("another error: \(String(describing: error))")
                continue
            }
        }
        // Rows that are many, rows that are long, and both beyond what fits at once.
        let requests = (0..<9).map {
            request("what is \($0)?", samples: $0 == 4 ? 3 : 1, tokens: $0 % 4 == 1 ? 700 : 12)
        }
        let texts = try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for (number, request) in requests.enumerated() {
                group.addTask { (number, try await tight.complete(request).map(\.text)) }
            }
            return try await group.reduce(into: Array(repeating: [], count: requests.count)) { $0[$1.0] = $1.1 }
        }
        for (request, found) in zip(requests, texts) {
            #expect(try await roomy.complete(request).map(\.text) == found)
        }
        let use = tight.cacheUse
        #expect(use.budget == 1024 * use.token)
        #expect(use.running <= use.budget)
    }

    @Test(
        "memory that finished answers leave is given to a longer one, and the answer beside it goes on",
        arguments: [BatchByHand.Kind.dense, .denseInFixedShapes])
    func givenUp(kind: BatchByHand.Kind) async throws {
        let questions = ["what is seven plus four?", "name a town and a river"]
        var expected: [[String]] = []
        for question in questions {
            let hand = try BatchByHand(kind)
            let reply = try hand.ask(question, tokens: 60)
            hand.finish()
            expected.append(try await texts(reply))
        }
        let hand = try BatchByHand(kind, cacheTokens: 1024)
        let first = try hand.ask(questions[0], tokens: 60)
        for _ in 0..<3 { _ = try hand.ask("how many?", tokens: 2) }
        while hand.batch.cacheUse.sequences != 1 { hand.batch.round() }
        let second = try hand.ask(questions[1], tokens: 300)
        var most = 0
        while !hand.batch.isEmpty {
            hand.batch.round()
            most = max(most, hand.batch.cacheUse.running)
        }
        #expect(most <= hand.batch.cacheUse.budget)
        #expect(try await texts(first) == expected[0])
        #expect(try await texts(second)[0].hasPrefix(expected[1][0]))
    }

    @Test("a cache that is resized keeps what fits in")
    func resized() throws {
        let shape = HeadShape(count: 2, dimension: 3)
        let cache = KeyValueCache(layers: [shape, nil, shape], dtype: .float32, device: .cpu)
        try cache.resize(to: .init(rows: 3, length: 200))
        #expect(cache.rows == 3 && cache.capacity == 256)
        let key = try Tensor.normal([1, 2, 140, 3], deviation: 1, seed: 1)
        let value = try Tensor.normal([1, 2, 140, 3], deviation: 1, seed: 2)
        for layer in [0, 2] { try cache.store(layer: layer, row: 1, key: key, value: value) }
        for size in [
            KeyValueCache.Size(rows: 2, length: 256), .init(rows: 5, length: 384), .init(rows: 2, length: 140),
        ] {
            try cache.resize(to: size)
            #expect(cache.rows == size.rows && cache.capacity == size.length)
            for layer in [0, 2] {
                let held = try #require(try cache.contents(row: 1, length: 140)[layer])
                #expect(try held.key.floats() == key.floats())
                #expect(try held.value.floats() == value.floats())
            }
        }
        try cache.resize(to: .init(rows: 0, length: 0))
        #expect(cache.bytes == 0)
        try cache.reserve(rows: 1, length: 1)
        #expect(try cache.contents(row: 0, length: 128)[0]?.key.floats().allSatisfy { $0 == 0 } == true)
    }
}
