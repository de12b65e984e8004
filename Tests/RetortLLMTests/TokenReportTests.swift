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
