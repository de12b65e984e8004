import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

@Suite("An adapter's own tokenizer and chat template")
struct AdapterVoiceTests {
    private static let template =
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + ': ' + m['content'] + '<|im_end|>' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant: ' + bos_token }}{% endif %}"

    /// A base, and an adapter that says something else, trained with another template.
    private final class Scene {
        let folder: ScratchFolder
        let base: URL
        let adapter: URL

        init() throws {
            folder = try ScratchFolder()
            base = folder.url.appendingPathComponent("base")
            adapter = folder.url.appendingPathComponent("adapter")
            let shape = DecoderConfiguration.qwen2(
                vocabularySize: 3080, hiddenSize: 32, intermediateSize: 48, layerCount: 2, headCount: 4,
                keyValueHeadCount: 2, maximumPositions: 256)
            let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 3, deviation: 0.3))
            try Checkpoint.write(
                network, dtype: .float32, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: base)
            for (place, (_, linear)) in network.projections.enumerated() {
                linear.adapter = LowRankAdapter(
                    down: try Tensor.normal([2, linear.weight.shape[1]], deviation: 0.3, seed: UInt64(place)),
                    up: try Tensor.normal([linear.weight.shape[0], 2], deviation: 0.3, seed: UInt64(place + 99)),
                    scale: 2)
            }
            try AdapterFile.write(
                network, AdapterConfiguration(baseModel: base.path, rank: 2, alpha: 4, dropout: 0, targets: []),
                to: adapter)
        }

        func put(_ text: String, _ name: String) throws {
            try Data(text.utf8).write(to: adapter.appendingPathComponent(name))
        }

        /// Gives the adapter a template, and a tokenizer with a token more.
        func bringAll() throws {
            try FileManager.default.copyItem(
                at: base.appendingPathComponent("tokenizer.json"), to: adapter.appendingPathComponent("tokenizer.json"))
            let settings: [String: JSONValue] = [
                "bos_token": "<begin>", "eos_token": "<|im_end|>", "chat_template": .string(AdapterVoiceTests.template),
            ]
            try CheckpointJSON.write(settings, to: adapter.appendingPathComponent("tokenizer_config.json"))
        }
    }

    private let messages = [Message(.user, "one two")]

    private func prompt(_ checkpoint: Checkpoint) throws -> String {
        let tokens = try checkpoint.template.render(messages, then: .generation(), with: checkpoint.tokenizer).tokens
        return checkpoint.tokenizer.decode(tokens)
    }

    @Test("both count wherever the folder is opened, and in exports of it")
    func own() throws {
        let scene = try Scene()
        try scene.bringAll()
        let expected = "<|im_start|>user: one two<|im_end|><|im_start|>assistant: <begin>"
        let checkpoint = try Checkpoint(folder: scene.adapter)
        #expect(try prompt(checkpoint) == expected)
        #expect(checkpoint.tokenizer.id(of: "<begin>") == 3072)
        let target = scene.folder.url.appendingPathComponent("merged")
        try FolderExport(checkpoint, checkpoint.network()).write(dtype: .float32, to: target)
        #expect(try prompt(Checkpoint(folder: target)) == expected)
    }

    @Test("a template alone counts with the base's tokenizer, from a file of its own too")
    func templateAlone() throws {
        let scene = try Scene()
        try scene.put(Self.template.replacing(" + bos_token", with: " + eos_token"), "chat_template.jinja")
        let checkpoint = try Checkpoint(folder: scene.adapter)
        #expect(try prompt(checkpoint).hasSuffix("assistant: <|im_end|>"))
        #expect(checkpoint.folders.tokenizer.url == checkpoint.folder)
    }

    @Test("an adapter without either speaks as its base")
    func none() throws {
        let scene = try Scene()
        #expect(try prompt(Checkpoint(folder: scene.adapter)) == prompt(Checkpoint(folder: scene.base)))
    }

    @Test("a tokenizer in a form that is not read is refused, and not replaced by the base's")
    func otherForm() throws {
        let scene = try Scene()
        try scene.put("…", "tokenizer.model")
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: scene.adapter) }
        #expect("\(try #require(error))".contains("without a tokenizer.json"))
    }

    @Test("served beside others, each request is rendered as its adapter was trained")
    func served() async throws {
        let scene = try Scene()
        try scene.bringAll()
        var request = GenerationRequest(messages: messages, maximumTokens: 16)
        let alone = try await LocalModel(folder: scene.adapter, options: .init(weights: .float32)).complete(request)[0]
        let model = try LocalModel(
            folder: scene.base, options: .init(weights: .float32, adapters: ["own": scene.adapter]))
        let base = try await model.complete(request)[0]
        #expect(
            try await LocalModel(folder: scene.base, options: .init(weights: .float32)).complete(request)[0].text
                == base.text)
        request.adapter = "own"
        let beside = try await model.complete(request)[0]
        #expect(beside.text == alone.text)
        #expect(beside.usage.promptTokens == alone.usage.promptTokens)
        #expect(beside.usage.promptTokens != base.usage.promptTokens)
    }

    @Test("a prompt with a token that the weights do not have is refused before it is read")
    func beyondWeights() async throws {
        let scene = try Scene()
        try CheckpointJSON.write(
            ["extra_special_tokens": .array((0..<9).map { .string("<\($0)>") })],
            to: scene.base.appendingPathComponent("special_tokens_map.json"))
        let model = try LocalModel(folder: scene.base)
        var request = GenerationRequest(messages: [], maximumTokens: 2)
        request.plain = .text("a<8>")
        await #expect(throws: LanguageModelError.self) { try await model.complete(request) }
    }
}

@Suite("Folders for transformers")
struct FolderExportTests {
    private func object(_ name: String, _ folder: URL) throws -> [String: JSONValue] {
        try #require(try CheckpointJSON.object(folder.appendingPathComponent(name)))
    }

    @Test("a Qwen2 network with another split is written as the Llama that it also is, with the same scores")
    func seedling() throws {
        let folder = try ScratchFolder()
        let checkpoint = try Checkpoint(folder: seedlings.appendingPathComponent("1m"))
        let network = try checkpoint.network()
        try FolderExport(checkpoint, network).write(dtype: .float32, to: folder.url)
        #expect(try object("config.json", folder.url)["model_type"] == "llama")
        #expect(try object("tokenizer_config.json", folder.url)["tokenizer_class"] == "PreTrainedTokenizerFast")
        let ends = try #require(try object("generation_config.json", folder.url)["eos_token_id"]?.array)
        #expect(ends == checkpoint.endTokens.sorted().map(JSONValue.integer))
        let written = try Checkpoint(folder: folder.url)
        let ids = Array(Int32(5)..<37)
        #expect(
            try written.network().scores(of: ids, at: ids.indices).floats()
                == network.scores(of: ids, at: ids.indices).floats())
        let sample = "1234 x"
        #expect(
            written.tokenizer.encode(sample, specials: .asText)
                == checkpoint.tokenizer.encode(sample, specials: .asText))
        #expect(written.endTokens == checkpoint.endTokens)
    }

    @Test("one with Qwen2's own split stays Qwen2")
    func qwen() throws {
        let folder = try ScratchFolder()
        let source = folder.url.appendingPathComponent("source")
        let shape = DecoderConfiguration.qwen2(
            vocabularySize: 3072, hiddenSize: 32, intermediateSize: 48, layerCount: 1, headCount: 4,
            keyValueHeadCount: 2)
        try Checkpoint.write(
            DecoderNetwork(shape, weights: RandomWeights(seed: 1)), dtype: .float32,
            tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: source)
        let file = source.appendingPathComponent("tokenizer.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        try text.replacing(#"\\p{N}{1,3}"#, with: #"\\p{N}"#)
            .replacing(#""normalizer": null"#, with: #""normalizer": {"type": "NFC"}"#)
            .write(to: file, atomically: true, encoding: .utf8)
        let checkpoint = try Checkpoint(folder: source)
        let target = folder.url.appendingPathComponent("target")
        try FolderExport(checkpoint, checkpoint.network()).write(dtype: .bfloat16, to: target)
        #expect(try object("config.json", target)["architectures"] == ["Qwen2ForCausalLM"])
    }
}
