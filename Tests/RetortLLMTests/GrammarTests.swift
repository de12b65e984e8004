import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

private func accepts(_ grammar: OutputGrammar, _ text: String) -> Bool {
    var matcher = GrammarMatcher(grammar)
    for byte in text.utf8 where !matcher.advance(byte) { return false }
    return matcher.isComplete
}

private func schema(_ text: String) throws -> JSONSchema {
    try JSONSchema(JSONCoding.decoder.decode(JSONValue.self, from: Data(text.utf8)))
}

/// A text of a grammar, byte by byte at random, ending where it may with some probability.
private func randomText(_ grammar: OutputGrammar, _ generator: inout SeededGenerator) -> [UInt8]? {
    var matcher = GrammarMatcher(grammar)
    var bytes: [UInt8] = []
    while bytes.count < 4000 {
        if matcher.isExhausted || (matcher.isComplete && Int.random(in: 0..<4, using: &generator) == 0) { return bytes }
        let allowed = (UInt8.min...UInt8.max).filter { byte in
            var copy = matcher
            return copy.advance(byte)
        }
        guard
            let byte = allowed.first(where: { [0x22, 0x5D, 0x7D].contains($0) && Bool.random(using: &generator) })
                ?? allowed.randomElement(using: &generator)
        else { return nil }
        _ = matcher.advance(byte)
        bytes.append(byte)
    }
    return nil
}

@Suite("Output grammars")
struct GrammarTests {
    @Test("free text ends with its first ending, which says what follows")
    func prose() {
        let grammar = OutputGrammar.prose(
            limit: 20, endings: [.init("Next: a."), .init("Do: ", next: .oneOf([.text("x"), .text("yy")]))])
        #expect(accepts(grammar, "I think. Next: a."))
        #expect(accepts(grammar, "Next: a."))
        #expect(accepts(grammar, "NNext: a."))
        #expect(accepts(grammar, "Do: yy"))
        #expect(!accepts(grammar, "I think."))
        #expect(!accepts(grammar, "Next: a. More"))
        #expect(!accepts(grammar, "Do: z"))
        #expect(accepts(grammar, String(repeating: "w", count: 20) + "Do: x"))
        #expect(accepts(grammar, String(repeating: "w", count: 15) + "Next: a."))
        #expect(!accepts(grammar, String(repeating: "w", count: 21) + "Do: x"))
        #expect(!accepts(grammar, String(repeating: "w", count: 20) + "NNext: a."))
        #expect(!accepts(.anything(limit: 5), "  "))
        #expect(accepts(.anything(limit: 5), " a"))
        #expect(!accepts(.anything(limit: 5), "abcdef"))
    }

    @Test("a text that is told to close comes to its end by what must be there alone")
    func closing() throws {
        let object = OutputGrammar.json(
            try schema(
                #"{"type":"object","properties":{"city":{"type":"string"},"day":{"type":"integer","minimum":1}},"required":["city"]}"#
            ))
        let grammar = OutputGrammar.prose(limit: 500, endings: [.init("Do: ", next: object), .init("Next: a.")])
        func ends(_ start: String, _ rest: String) -> Bool {
            var matcher = GrammarMatcher(grammar)
            for byte in start.utf8 { _ = matcher.advance(byte) }
            matcher.close()
            for byte in rest.utf8 where !matcher.advance(byte) { return false }
            return matcher.isComplete
        }
        #expect(ends("I thi", "Next: a."))
        #expect(ends("I think. Ne", "xt: a."))
        #expect(!ends("I thi", "nk. Next: a."))
        #expect(ends("Do: {\"city\":\"Ta", "\"}"))
        #expect(!ends("Do: {\"city\":\"Ta", "rn\"}"))
        #expect(!ends("Do: {\"city\":\"Ta", "\",\"day\":3}"))
        #expect(ends("Do: {\"city\":\"Ta\",\"da", "y\":3}"))
        #expect(ends("So. ", "Do: {\"city\":\"\"}"))
    }

    @Test(
        "numbers stay within their bounds at every digit",
        arguments: [
            (
                #"{"type":"integer","minimum":1,"maximum":31}"#, ["1", "9", "10", "31"],
                ["0", "32", "310", "-1", "01", "1.0"]
            ),
            (#"{"type":"integer","minimum":1000,"maximum":9999}"#, ["1000", "9999"], ["999", "10000", "0"]),
            (#"{"type":"integer","minimum":-12,"maximum":-3}"#, ["-3", "-12", "-10"], ["-2", "-13", "3", "-0"]),
            (
                #"{"type":"number","minimum":0.25,"maximum":1.5}"#, ["0.25", "1.5", "1", "0.3"],
                ["0.2", "2", "1.51", "0"]
            ),
            (#"{"type":"number"}"#, ["0", "-1.25", "17"], ["-0", ".5", "1."]),
        ])
    func numbers(text: String, good: [String], bad: [String]) throws {
        let grammar = OutputGrammar.json(try schema(text))
        for number in good { #expect(accepts(grammar, number), "\(number)") }
        for number in bad { #expect(!accepts(grammar, number), "\(number)") }
    }

    @Test("objects have their members in any order, with blanks or without, and no others")
    func objects() throws {
        let grammar = OutputGrammar.json(
            try schema(
                #"{"type":"object","properties":{"city":{"type":"string","maxLength":6},"day":{"type":"integer"}},"required":["city"],"additionalProperties":false}"#
            ))
        for good in [
            #"{"city":"Tarn"}"#, #"{"day":3,"city":"Tarn"}"#, "{\n  \"city\": \"Tärn\", \"day\": 3\n}", #"{"city":""}"#,
            #"{"city":"a\"b\\\u00e9"}"#,
        ] { #expect(accepts(grammar, good), "\(good)") }
        for bad in [
            #"{}"#, #"{"day":3}"#, #"{"city":3}"#, #"{"city":"Tarn","city":"Tarn"}"#, #"{"city":"Tarn","x":1}"#,
            #"{"city":"toolong"}"#, #"{"city":"Tarn",}"#, #"{"city":"\ud800"}"#, "{\"city\":\"a\nb\"}",
        ] { #expect(!accepts(grammar, bad), "\(bad)") }
    }

    @Test("whatever can be written is valid JSON and valid against the schema")
    func soundness() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("RetortCoreTests/Fixtures/schemas.jsonl")
        var generator = SeededGenerator(seed: 1)
        var written = 0
        for item in try JSONLines.read(JSONValue.self, from: file).prefix(150) {
            let schema = try JSONSchema(item["schema"] ?? [:])
            guard let bytes = randomText(.json(schema), &generator) else { continue }
            written += 1
            let text = try #require(String(validating: bytes, as: UTF8.self))
            let value = try JSONCoding.decoder.decode(JSONValue.self, from: Data(bytes))
            #expect(schema.fault(in: value) == nil, "\(text) \(item)")
        }
        #expect(written > 130)
    }
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
            #expect(accepts(grammar, completion.text), "\(completion.text)")
        }
        request.grammar = nil
        for completion in try await model.complete(request) { #expect(!accepts(grammar, completion.text)) }
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
            #expect(accepts(prose, completion.text))
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
