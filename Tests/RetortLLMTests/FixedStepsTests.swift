import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

/// Decoding steps of fixed shapes; recording them needs a GPU.
@Suite("Steps of fixed shapes")
struct FixedStepsTests {
    private static let seedling = Family("seedling", [:])

    private func network(_ family: Family) throws -> DecoderNetwork {
        if family.testDescription == "seedling" {
            return try Checkpoint(folder: seedlings.appendingPathComponent("1m")).network()
        }
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("config.json")
        try JSONCoding.encoder.encode(family.fields).write(to: file)
        return try DecoderNetwork(
            DecoderConfiguration(configFile: file), weights: RandomWeights(seed: 4, deviation: 0.3))
    }

    private func token(_ row: Int, _ place: Int) -> Int { (row * 131 + place * 17) % 997 + 3 }

    private func difference(_ a: Tensor, _ b: Tensor) throws -> Float {
        #expect(a.shape == b.shape)
        return zip(try a.floats(), try b.floats()).map { abs($0 - $1) }.max() ?? .infinity
    }

    /// The other decoder's scores are the first one's; `adapters` are the other's rows'.
    private func expectEqual(
        _ one: BatchDecoder, _ other: BatchDecoder, _ tokens: [Int], _ places: [Int], adapters: [Int?]? = nil
    ) throws {
        let none = [Int?](repeating: nil, count: tokens.count)
        let expected = try one.scores(behind: tokens, at: places, adapters: none)
        let found = try other.scores(behind: tokens, at: places, adapters: adapters ?? none)
        #expect(try difference(expected, found) < 1e-4)
    }

    @Test(
        "scores are those of steps that grow, while samples come and go",
        arguments: [seedling]
            + Family.all.filter {
                ["Gemma 2", "Gemma 3", "Gemma 4", "Gemma 4 with keys as values", "Phi-4-mini"]
                    .contains($0.testDescription)
            })
    func equal(family: Family) throws {
        let network = try network(family)
        let (growing, fixed) = (BatchDecoder(network), BatchDecoder(network, stepping: .fixed))
        try withoutGradients {
            var lengths: [Int] = []
            // Rows that end and begin anew find what others left there.
            for count in [3, 3, 3, 5, 5, 2, 2, 2, 4, 1, 1, 1, 6, 6, 6, 6, 6, 6, 6, 6] {
                lengths = Array(lengths.prefix(count)) + Array(repeating: 0, count: max(count - lengths.count, 0))
                let tokens = lengths.enumerated().map { token($0, $1) }
                try expectEqual(growing, fixed, tokens, lengths)
                lengths = lengths.map { $0 + 1 }
            }
            // And those of the text computed whole.
            let first = (0..<lengths[0]).map { Int32(token(0, $0)) }
            let whole = try network.scores(of: first, at: first.count - 1..<first.count)
            let last = try fixed.scores(behind: [token(0, lengths[0] - 1)], at: [lengths[0] - 1], adapters: [nil])
            #expect(try difference(whole, last) < 1e-4)
        }
    }

    @Test("a sample that outgrows its shape goes on in the next")
    func outgrown() throws {
        let network = try network(Self.seedling)
        let (growing, fixed) = (BatchDecoder(network), BatchDecoder(network, stepping: .fixed))
        try withoutGradients {
            for place in 250..<262 {
                try expectEqual(growing, fixed, [token(0, place)], [place])
            }
        }
    }

    @Test("shapes are powers of two within the context, and few are kept")
    func shapes() throws {
        func shape(_ rows: Int, _ longest: Int, context: Int = 2048) -> [Int] {
            let shape = FixedSteps.Shape(rows: rows, longest: longest, context: context)
            return [shape.rows, shape.length]
        }
        #expect(shape(1, 1) == [1, 256])
        #expect(shape(5, 257) == [8, 512])
        #expect(shape(3, 1500, context: 1600) == [4, 1664])
        #expect(shape(64, 2048) == [64, 2048])
        let network = try network(Self.seedling)
        let shape = network.configuration
        let cache = KeyValueCache(
            layers: (0..<shape.layerCount).map(shape.keptHeads(ofLayer:)), dtype: .float32, device: .cpu)
        let pass = StepPass(network: network, cache: cache, windows: [nil], dtype: .float32)
        let steps = FixedSteps(pass, records: false)
        try withoutGradients {
            // All there will be need of, so that the cache need not move.
            try cache.reserve(rows: 32, length: 2048)
            for place in [10, 300, 600, 1100] {
                for rows in [1, 2, 4, 8, 16] {
                    _ = try steps.scores(
                        behind: Array(repeating: 5, count: rows), at: Array(repeating: place, count: rows))
                }
            }
            #expect(steps.shapes.count == FixedSteps.most)
            #expect(!steps.shapes.contains(FixedSteps.Shape(rows: 1, longest: 10, context: 2048)))
            // A cache that moves is another address.
            try cache.reserve(rows: 64, length: 2048)
            _ = try steps.scores(behind: [5], at: [10])
            #expect(steps.shapes.count == 1)
        }
    }

    @Test("rows with adapters go the other way")
    func adapters() throws {
        let network = try network(Self.seedling)
        let fixed = BatchDecoder(network, stepping: .fixed)
        let plain = BatchDecoder(network)
        try withoutGradients {
            for (place, adapters) in [[nil, nil], [0, nil], [nil, nil]].enumerated() {
                try expectEqual(plain, fixed, [token(0, place), token(1, place)], [place, place], adapters: adapters)
            }
        }
    }

    @Test(
        "where nothing can be recorded the steps are the plain ones, and why is kept",
        .enabled(if: !Device.isCUDAAvailable))
    func unrecorded() throws {
        let network = try network(Self.seedling)
        let (growing, recorded) = (BatchDecoder(network), BatchDecoder(network, stepping: .recorded))
        try withoutGradients {
            for place in 0..<5 {
                try expectEqual(growing, recorded, [token(0, place)], [place])
                #expect((recorded.recordingFailure == nil) == (place < 2))
            }
        }
        let reason = try #require(recorded.recordingFailure)
        #expect(reason.contains("libtorch_cuda"))
        #expect(DeviceGraph.refusal == Device.cudaRefusal)
    }

    @Test("a model answers the same in fixed shapes, several requests at once")
    func model() async throws {
        let folder = seedlings.appendingPathComponent("1m")
        var options = LocalModel.Options(maximumSamples: 8)
        let plain = try LocalModel(folder: folder, options: options)
        options.stepping = .fixed
        let fixed = try LocalModel(folder: folder, options: options)
        func answers(_ model: LocalModel) async throws -> [[String]] {
            try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
                for number in 0..<5 {
                    group.addTask {
                        let request = GenerationRequest(
                            messages: [Message(.user, "What is \(number) and \(number * 7)?")],
                            samples: number == 2 ? 3 : 1, maximumTokens: 6 + 7 * number)
                        return (number, try await model.complete(request).map(\.text))
                    }
                }
                var all = [[String]](repeating: [], count: 5)
                for try await (number, texts) in group { all[number] = texts }
                return all
            }
        }
        let expected = try await answers(plain)
        #expect(expected.allSatisfy { !$0.isEmpty && !$0[0].isEmpty })
        #expect(try await answers(fixed) == expected)
        #expect(await fixed.recordingFailure == nil)
    }

    @Test("a dense cache keeps beginnings, whichever layers keep keys and values")
    func beginnings() async throws {
        let family = try #require(Family.all.first { $0.testDescription == "Gemma 4" })
        let folder = try ScratchFolder()
        _ = try family.write(to: folder.url)
        let plain = try LocalModel(folder: folder.url, options: .init(weights: .float32))
        var options = LocalModel.Options(weights: .float32, prefixTokens: 1 << 12)
        options.stepping = .fixed
        let dense = try LocalModel(folder: folder.url, options: options)
        var messages = [Message(.user, "The birthplace of Tomei Flijizail is a city, and the mayor is known.")]
        for step in 0..<3 {
            let request = GenerationRequest(messages: messages, samples: step == 1 ? 3 : 1, maximumTokens: 8)
            let expected = try await plain.complete(request).map(\.text)
            #expect(try await dense.complete(request).map(\.text) == expected)
            messages += [Message(.assistant, expected[0]), Message(.user, "Observation: \(step) of the two")]
        }
    }
}
