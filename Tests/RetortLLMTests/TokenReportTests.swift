import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

@Suite("Token reports and plain prompts")
struct TokenReportTests {
    private func model(_ folder: URL) throws -> LocalModel {
        let network = try DecoderNetwork(tinyShape, weights: RandomWeights(seed: 3, deviation: 0.3))
        try Checkpoint.write(
            network, dtype: .float32, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: folder)
        return try LocalModel(folder: folder)
    }

    private func request(_ report: TokenReport, temperature: Double = 0) -> GenerationRequest {
        GenerationRequest(
            messages: [Message(.user, "hello")], sampling: Sampling(temperature: temperature, seed: 5),
            maximumTokens: 12, report: report)
    }

    @Test("log-probabilities are those of the whole vocabulary, whatever the temperature", arguments: [0, 1.5])
    func logprobs(temperature: Double) async throws {
        let folder = try ScratchFolder()
        let model = try model(folder.url)
        let all = tinyShape.vocabularySize
        let completion = try await model.complete(
            request(.logprobs(alternatives: all), temperature: temperature))[0]
        #expect(completion.report.count == completion.usage.completionTokens)
        for token in completion.report {
            #expect(token.alternatives.count == all)
            let sum = token.alternatives.reduce(0) { $0 + exp($1.logprob) }
            #expect(abs(sum - 1) < 1e-3)
            #expect(token.alternatives.first { $0.id == token.id }?.logprob == token.logprob)
            #expect(token.alternatives.map(\.logprob) == token.alternatives.map(\.logprob).sorted(by: >))
            if temperature == 0 { #expect(token.alternatives[0].id == token.id) }
        }
    }

    @Test("asking for a report changes nothing else, and the tokens spell the text")
    func spelling() async throws {
        let folder = try ScratchFolder()
        let model = try model(folder.url)
        let plain = try await model.complete(request(.none))[0]
        #expect(plain.tokens == nil && plain.report.isEmpty)
        var streamed: [GeneratedToken] = []
        var finished: Completion?
        for try await event in model.stream(request(.ids)) {
            if case .token(_, let token) = event { streamed.append(token) }
            if case .finished(_, let completion) = event { finished = completion }
        }
        #expect(finished?.text == plain.text)
        #expect(finished?.tokens?.completion == streamed.compactMap(\.id))
        #expect(finished?.report == streamed)
        #expect(finished?.tokens?.prompt.count == plain.usage.promptTokens)
        let bytes = streamed.filter { !$0.endsTurn }.flatMap(\.bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == plain.text)
    }

    @Test("a plain prompt of a chat's own tokens, or their text, is answered as the chat")
    func plain() async throws {
        let folder = try ScratchFolder()
        let model = try model(folder.url)
        let chat = try await model.complete(request(.ids))[0]
        let prompt = try #require(chat.tokens?.prompt)
        var tokens = request(.none)
        tokens.messages = []
        tokens.plain = .tokens(prompt)
        #expect(try await model.complete(tokens)[0].text == chat.text)
        let tokenizer = try Tokenizer(seedlings.appendingPathComponent("tokenizer"))
        tokens.plain = .text(tokenizer.decode(prompt))
        #expect(try await model.complete(tokens)[0].text == chat.text)
    }

    @Test(
        "a plain prompt without tokens or with unknown ones is refused", arguments: [[], [-1], [1 << 20]] as [[Int32]])
    func unusable(tokens: [Int32]) async throws {
        let folder = try ScratchFolder()
        let model = try model(folder.url)
        var request = request(.none)
        request.plain = .tokens(tokens)
        await #expect(throws: LanguageModelError.self) { try await model.complete(request) }
    }

    @Test("a prompt's own tokens are told with their probabilities, however long it is and whatever was asked before")
    func promptReport() async throws {
        let folder = try ScratchFolder()
        var shape = tinyShape
        shape.maximumPositions = 512
        let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 3, deviation: 0.3))
        try Checkpoint.write(
            network, dtype: .float32, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: folder.url)
        let model = try LocalModel(folder: folder.url, options: .init(weights: .float32, prefixTokens: 4096))
        var generator = SeededGenerator(seed: 4, "prompt")
        // Longer than what is computed in one pass.
        let prompt = (0..<200).map { _ in Int32.random(in: 0..<Int32(tinyShape.vocabularySize), using: &generator) }
        var request = GenerationRequest(messages: [], samples: 2, maximumTokens: 3, plain: .tokens(prompt))
        let silent = try await model.complete(request)
        #expect(silent.allSatisfy { $0.promptReport.isEmpty })
        request.promptReport = 2
        let told = try await model.complete(request)
        #expect(told.map(\.text) == silent.map(\.text))
        let report = told[0].promptReport
        #expect(report.compactMap(\.id) == prompt && told[1].promptReport.isEmpty)
        #expect(report[0].logprob == nil && report[0].alternatives.isEmpty)
        let scores = try network.scores(of: prompt, at: prompt.indices).logSoftmax(axis: -1)
        for place in prompt.indices.dropFirst() {
            let expected = try scores.narrowed(0, place - 1..<place).floats()
            #expect(abs((report[place].logprob ?? 1) - Double(expected[Int(prompt[place])])) < 1e-4)
            #expect(report[place].alternatives.count == 2)
            #expect(abs((report[place].alternatives.first?.logprob ?? 1) - Double(expected.max() ?? 0)) < 1e-4)
        }
    }

    @Test("tools are written in the order they have, and refused by a template without a place for them")
    func tools() throws {
        let tokenizer = try Tokenizer(seedlings.appendingPathComponent("tokenizer"))
        let turns =
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
            + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        let tools = #"[{"type":"function","function":{"name":"f","description":"d"}}]"#
        let plain = try JinjaTemplate(turns, tokenizer: tokenizer)
        #expect(throws: ChatTemplateError.self) { try plain.offering(tools) }
        let listing = try JinjaTemplate("{% if tools %}{{ tools | tojson }}{% endif %}" + turns, tokenizer: tokenizer)
        #expect(throws: ChatTemplateError.self) { try listing.offering("{}") }
        let prompt = try listing.offering(tools).render(
            [Message(.user, "x")], then: .generation(), with: tokenizer)
        let text = tokenizer.decode(prompt.tokens)
        #expect(
            text.hasPrefix(#"[{"type": "function", "function": {"name": "f", "description": "d"}}]<|im_start|>user"#))
    }
}
