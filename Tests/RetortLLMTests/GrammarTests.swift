import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

private func accepts(_ grammar: OutputGrammar, _ text: String) throws -> Bool {
    var matcher = try GrammarMatcher(grammar)
    return matcher.advance(text.utf8) && matcher.isComplete
}

@Suite("Constrained decoding")
struct ConstrainedDecodingTests {
    private let grammar = OutputGrammar.sequence([
        .text("Action: "),
        .oneOf([
            .sequence([
                .text("weather_for_brelun\nAction Input: "),
                .json(
                    .object(
                        .init(
                            properties: [
                                "city": .string(maximumLength: 12), "day": .integer(minimum: 1, maximum: 31),
                            ], required: ["city", "day"]))),
            ]), .text("none\nAction Input: {}"),
        ]),
    ])

    /// A model that knows nothing, so that without a grammar it writes nonsense.
    private func model(_ folder: URL) throws -> LocalModel {
        let shape = DecoderConfiguration.qwen2(
            vocabularySize: 3072, hiddenSize: 16, intermediateSize: 24, layerCount: 1, headCount: 2,
            keyValueHeadCount: 1, maximumPositions: 512)
        try Checkpoint.write(
            DecoderNetwork(shape, weights: RandomWeights(seed: 3, deviation: 0.3)), dtype: .float32,
            tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: folder)
        return try LocalModel(folder: folder)
    }

    @Test("an untrained model writes what the grammar allows and nothing else", arguments: [0, 0.7, 1.5])
    func forced(temperature: Double) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let model = try model(folder)
        var request = GenerationRequest(
            messages: [Message(.user, "Hello")], samples: 2,
            sampling: Sampling(temperature: temperature, topP: temperature > 1 ? 0.9 : 1, seed: 4), maximumTokens: 150,
            grammar: grammar)
        for completion in try await model.complete(request) {
            #expect(completion.finish == .endOfTurn)
            #expect(try accepts(grammar, completion.text), "\(completion.text)")
        }
        request.grammar = nil
        for completion in try await model.complete(request) { #expect(try !accepts(grammar, completion.text)) }
    }

    @Test("a text that would not end of itself is brought to its end within the token limit")
    func runaway() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let prose = OutputGrammar.prose(limit: 5000, endings: [.init("Next: a."), .init("Next: b.")])
        let request = GenerationRequest(
            messages: [Message(.user, "Hello")], samples: 1, sampling: Sampling(temperature: 1, seed: 4),
            maximumTokens: 60, grammar: prose)
        for completion in try await model(folder).complete(request) {
            #expect(completion.finish == .endOfTurn)
            #expect(try accepts(prose, completion.text))
        }
    }

    @Test("the mask over the vocabulary agrees with each token tried alone")
    func mask() throws {
        let tokenizer = try Tokenizer(seedlings.appendingPathComponent("tokenizer"))
        let end = try #require(tokenizer.id(of: "<|im_end|>"))
        var constraint = TokenConstraint(grammar, TokenTrie(tokenizer, endTokens: [Int(end)]))
        let text = "Action: weather_for_brelun\nAction Input: {\"city\":\"Tärn\",\"day\":3}"
        for token in tokenizer.encode(text, specials: .asText) {
            let mask = try constraint.mask(vocabularySize: tokenizer.vocabularySize).floats()
            #expect(mask[Int(token)] == 0)
            for other in stride(from: 0, to: tokenizer.vocabularySize, by: 37) {
                #expect((mask[other] == 0) == constraint.allows(other))
            }
            #expect(mask[Int(end)] != 0)
            let isAccepted = constraint.accept(Int(token))
            #expect(isAccepted)
        }
        #expect(constraint.isExhausted)
        #expect(constraint.allows(Int(end)))
    }
}
