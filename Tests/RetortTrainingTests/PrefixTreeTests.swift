import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

@testable import RetortTraining

@Suite("Prefix-tree packing")
struct PrefixTreeTests {
    private var generator = SeededGenerator(seed: 4)

    private mutating func words(_ count: Int) -> [Int32] {
        (0..<count).map { _ in Int32.random(in: 1..<64, using: &generator) }
    }

    /// Ten samples: a shared start, branches of branches, one that is the beginning of another, one twice, one apart.
    private mutating func family() -> [TrainingExample] {
        let start = words(50)
        let (left, right) = (words(40), words(45))
        let deep = left + words(36)
        let bodies = [
            left + words(9), left + words(12), deep + words(5), deep + words(7), right, right + words(20), right,
        ]
        let samples = bodies.map { start + $0 } + [words(30), start + words(3), start]
        return samples.enumerated().map { number, tokens in
            TrainingExample(
                id: "\(number)", tokens: tokens,
                trainable: tokens.indices.map { ($0 * 7 + number) % 3 == 0 || $0 == 50 })
        }
    }

    private func gradients(
        _ rows: [PackedRow], _ configuration: DecoderConfiguration, recomputes: Bool = false,
        method: PackedAttention.Method = .fastest
    ) throws -> (loss: Double, gradients: [[Float]]) {
        let network = try DecoderNetwork(configuration, weights: RandomWeights(seed: 2))
        for parameter in network.parameters { try parameter.tensor.requireGradient() }
        var loss = 0.0
        for row in rows {
            loss += try RowLoss.backward(row, network, scale: 0.01, recomputes: recomputes, method: method)
        }
        return (loss, try network.parameters.map { try $0.tensor.gradient()?.floats() ?? [] })
    }

    private static func shape(window: Int?, cap: Double?) -> DecoderConfiguration {
        var shape = DecoderConfiguration.qwen2(
            vocabularySize: 64, hiddenSize: 16, intermediateSize: 24, layerCount: 2, headCount: 2, keyValueHeadCount: 1,
            maximumPositions: 256)
        shape.windows = [nil, window]
        shape.scoreCap = cap
        return shape
    }

    @Test("gradients are those of the samples one by one", arguments: [nil, 40], [nil, 5.0])
    func exact(window: Int?, cap: Double?) throws {
        var maker = self
        let samples = maker.family()
        var tree = PrefixTree()
        var apart: [PackedRow] = []
        for sample in samples {
            tree.insert(sample)
            var row = PackedRow()
            row.append(sample)
            apart.append(row)
        }
        let packed = tree.row
        #expect(packed.tokens.count == tree.tokenCount)
        #expect(packed.tokens.count < packed.sampleTokens * 6 / 10)
        #expect(packed.targets.count == samples.reduce(0) { $0 + $1.targetCount })
        try expectSame(apart, packed, Self.shape(window: window, cap: cap))
    }

    private func expectSame(_ apart: [PackedRow], _ packed: PackedRow, _ shape: DecoderConfiguration) throws {
        let (expected, found) = (try gradients(apart, shape), try gradients([packed], shape))
        #expect(abs(expected.loss - found.loss) < 1e-5)
        for (a, b) in zip(expected.gradients, found.gradients) {
            let difference = zip(a, b).map { abs($0 - $1) }.max() ?? 0
            #expect(difference < 1e-5)
        }
    }

    @Test(
        "so they are where layers carry states from token to token",
        arguments: [
            ["model_type": "lfm2", "layer_types": ["conv", "full_attention"], "block_multiple_of": 8],
            [
                "model_type": "qwen3_5_text", "full_attention_interval": 2, "head_dim": 8, "linear_num_key_heads": 2,
                "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 4,
            ],
        ] as [[String: JSONValue]])
    func carried(own: [String: JSONValue]) throws {
        let shape = try shape(own)
        #expect(shape.carrying.keys.sorted() == [0])
        try expectExact(shape)
    }

    @Test("so they are where layers read the keys and values of earlier ones, and a second embedding")
    func linked() throws {
        let shape = try shape([
            "model_type": "gemma4_text", "num_hidden_layers": 5, "num_kv_shared_layers": 3, "head_dim": 8,
            "global_head_dim": 16, "sliding_window": 20, "hidden_size_per_layer_input": 4,
            "vocab_size_per_layer_input": 64, "use_double_wide_mlp": true,
            "layer_types": [
                "sliding_attention", "full_attention", "sliding_attention", "full_attention", "full_attention",
            ],
        ])
        #expect(shape.keySources == [2: 0, 3: 1, 4: 1])
        try expectExact(shape)
    }

    /// A small network of a family.
    private func shape(_ own: [String: JSONValue]) throws -> DecoderConfiguration {
        let common: [String: JSONValue] = [
            "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 256,
        ]
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try JSONCoding.encoder.encode(JSONValue.object(common.merging(own) { $1 })).write(to: file)
        return try DecoderConfiguration(configFile: file)
    }

    /// Gradients through a tree of samples are those of the samples one by one, with layers run again as without.
    private func expectExact(_ shape: DecoderConfiguration) throws {
        var maker = self
        var tree = PrefixTree()
        let apart = maker.family().map { sample in
            tree.insert(sample)
            var row = PackedRow()
            row.append(sample)
            return row
        }
        try expectSame(apart, tree.row, shape)
        let (kept, again) = (try gradients([tree.row], shape), try gradients([tree.row], shape, recomputes: true))
        for (a, b) in zip(kept.gradients, again.gradients) {
            #expect(a.count == b.count && a.contains { $0 != 0 })
            #expect((zip(a, b).map { abs($0 - $1) }.max() ?? 0) < 1e-6)
        }
    }

    @Test("in the fused kernel's form, gradients are the same", arguments: [nil, 40], [nil, 5.0])
    func sequences(window: Int?, cap: Double?) throws {
        var maker = self
        var tree = PrefixTree()
        for sample in maker.family() { tree.insert(sample) }
        let shape = Self.shape(window: window, cap: cap)
        let expected = try gradients([tree.row], shape)
        let found = try gradients([tree.row], shape, method: .sequences)
        #expect(abs(expected.loss - found.loss) < 1e-5)
        for (a, b) in zip(expected.gradients, found.gradients) {
            #expect(a.count == b.count && a.contains { $0 != 0 })
            #expect((zip(a, b).map { abs($0 - $1) }.max() ?? 0) < 1e-5)
        }
    }

    @Test("running layers again on the way back changes no gradient")
    func recomputed() throws {
        var maker = self
        var tree = PrefixTree()
        for sample in maker.family() { tree.insert(sample) }
        let shape = Self.shape(window: nil, cap: nil)
        let (kept, again) = (try gradients([tree.row], shape), try gradients([tree.row], shape, recomputes: true))
        #expect(kept.loss == again.loss)
        for (a, b) in zip(kept.gradients, again.gradients) {
            #expect(a.count == b.count)
            #expect((zip(a, b).map { abs($0 - $1) }.max() ?? 0) < 1e-6)
        }
    }

    @Test("what samples share is in a row once, and every sample is in one row")
    func rows() throws {
        var maker = self
        let samples = maker.family()
        let rows = EpochRows(samples, epochs: 1, rowTokens: 4096, seed: 3)
        #expect(rows.rowCount == 1)
        var source = rows
        let next = source.next()
        let row = try #require(next)
        #expect(row.sampleTokens == samples.reduce(0) { $0 + $1.tokens.count })
        #expect(row.segments.allSatisfy { $0.parent.map { $0 < row.segments.count } ?? true })
    }

    @Test("samples that share little more than all do are shuffled as if they shared nothing")
    func kin() {
        var maker = self
        let common = maker.words(100)
        let alone = (0..<6).map { TrainingExample(id: "\($0)", tokens: common + maker.words(80), trainable: []) }
        #expect(PrefixTree.kin(among: alone) == (0..<6).map { [$0] })
        let twins = alone + [TrainingExample(id: "twin", tokens: alone[2].tokens + [1, 2], trainable: [])]
        #expect(PrefixTree.kin(among: twins).contains([2, 6]))
    }
}
