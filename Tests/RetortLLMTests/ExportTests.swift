import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

@Suite("Weights in few bits, and files for other engines")
struct ExportTests {
    private let shape = DecoderConfiguration.qwen2(
        vocabularySize: 3072, hiddenSize: 64, intermediateSize: 128, layerCount: 2, headCount: 4, keyValueHeadCount: 2,
        maximumPositions: 128)

    private func checkpoint(_ folder: URL, _ shape: DecoderConfiguration) throws -> Checkpoint {
        let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 3, deviation: 0.1))
        try Checkpoint.write(
            network, dtype: .float32, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: folder)
        return try Checkpoint(folder: folder)
    }

    private func scores(_ network: DecoderNetwork) throws -> [Float] {
        try withoutGradients {
            let ids = Array(5..<37)
            let context = PackedAttention(segments: [ids.count])
            let hidden = try network.hidden(
                Tensor(integers: ids, shape: [1, ids.count]),
                positions: Tensor(integers: context.positions, shape: [1, ids.count]), context: context)
            return try network.logits(hidden).to(.float32).floats()
        }
    }

    @Test(
        "eight and four bits give nearly the same scores",
        arguments: [(PackedWeight.Bits.int8, Float(0.03)), (.int4, 0.3)] as [(PackedWeight.Bits, Float)])
    func packed(bits: PackedWeight.Bits, limit: Float) throws {
        let folder = try ScratchFolder()
        let checkpoint = try checkpoint(folder.url, shape)
        let whole = try scores(checkpoint.network())
        let network = try checkpoint.network(dtype: .bfloat16)
        try network.pack(bits)
        let packed = try scores(network)
        let distance = zip(whole, packed).map { ($0 - $1) * ($0 - $1) }.reduce(0, +).squareRoot()
        let size = whole.map { $0 * $0 }.reduce(0, +).squareRoot()
        #expect(distance / size < limit)
        #expect(distance > 0)
    }

    @Test("a merged export answers its golden fixture")
    func golden() throws {
        let folder = try ScratchFolder()
        let checkpoint = try checkpoint(folder.url, shape)
        let network = try checkpoint.network()
        let fixture = try GoldenFixture(checkpoint, network, length: 4)
        #expect(fixture.continuation.first == fixture.likeliest.first)
        #expect(fixture.scores == fixture.scores.sorted(by: >))
        #expect(checkpoint.tokenizer.decode(fixture.tokens) == fixture.prompt)
        for text in fixture.texts {
            #expect(text.tokens.first == checkpoint.template.endOfTurn)
            #expect(checkpoint.tokenizer.decode(text.tokens) == text.text)
        }
    }
}
