import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

/// A folder that is removed again.
struct ScratchFolder: ~Copyable {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID())")
    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: url) }
}

let tinyShape = DecoderConfiguration.qwen2(
    vocabularySize: 3072, hiddenSize: 32, intermediateSize: 48, layerCount: 2, headCount: 4, keyValueHeadCount: 2,
    maximumPositions: 128)

@Suite("Checkpoints")
struct CheckpointTests {
    private func write(to folder: URL) throws -> DecoderNetwork {
        let network = try DecoderNetwork(tinyShape, weights: RandomWeights(seed: 1, deviation: 0.2))
        try Checkpoint.write(
            network, dtype: .float32, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: folder)
        return network
    }

    @Test("a written folder reads back to the same weights")
    func roundTrip() throws {
        let folder = try ScratchFolder()
        let network = try write(to: folder.url)
        let read = try Checkpoint(folder: folder.url).network()
        for (a, b) in zip(network.parameters, read.parameters) {
            #expect(a.name == b.name)
            #expect(try a.tensor.floats() == b.tensor.floats())
        }
    }

    @Test("missing weights are named")
    func missing() throws {
        let folder = try ScratchFolder()
        _ = try write(to: folder.url)
        try FileManager.default.removeItem(at: folder.url.appendingPathComponent("model.safetensors"))
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: folder.url).network() }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("model.safetensors cannot be read"))
    }

    @Test("a truncated file is refused before its tensors are used", arguments: [3, 100, 20_000])
    func truncated(bytes: Int) throws {
        let folder = try ScratchFolder()
        _ = try write(to: folder.url)
        let file = folder.url.appendingPathComponent("model.safetensors")
        try Data(contentsOf: file).prefix(bytes).write(to: file)
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: folder.url).network() }
        guard case .truncated = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("a pointer of Git LFS in the place of the weights is told as what it is")
    func pointer() throws {
        let folder = try ScratchFolder()
        _ = try write(to: folder.url)
        try Data("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n".utf8)
            .write(to: folder.url.appendingPathComponent("model.safetensors"))
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: folder.url).network() }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("'git lfs pull' fetches"))
    }

    @Test("a tensor of another shape is named with both shapes")
    func wrongShape() throws {
        let folder = try ScratchFolder()
        _ = try write(to: folder.url)
        var other = tinyShape
        other.intermediateSize = 64
        try other.configJSON(dtype: "float32").write(to: folder.url.appendingPathComponent("config.json"))
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: folder.url).network() }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("mlp.gate_proj.weight' has the shape [48, 32]"))
    }

    @Test("an unknown architecture is refused by name")
    func architecture() throws {
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("config.json")
        try Data(#"{"architectures":["MambaForCausalLM"]}"#.utf8).write(to: file)
        #expect(throws: CheckpointError.unknownArchitecture(file: file.path, "MambaForCausalLM")) {
            try DecoderConfiguration(configFile: file)
        }
    }
}

@Suite("Local model")
struct LocalModelTests {
    private func model(_ folder: URL) throws -> LocalModel {
        let network = try DecoderNetwork(tinyShape, weights: RandomWeights(seed: 3, deviation: 0.3))
        try Checkpoint.write(
            network, dtype: .float32, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: folder)
        return try LocalModel(folder: folder)
    }

    private func request(_ text: String, samples: Int = 1, temperature: Double = 0) -> GenerationRequest {
        GenerationRequest(
            messages: [Message(.user, text)], samples: samples,
            sampling: Sampling(temperature: temperature, topP: 0.9, seed: 5), maximumTokens: 20)
    }

    @Test("many requests at once are answered as each alone")
    func batching() async throws {
        let folder = try ScratchFolder()
        let model = try model(folder.url)
        let texts = (0..<12).map { String(repeating: "word \($0) ", count: $0 % 5 + 1) }
        var alone: [String] = []
        for text in texts { alone.append(try await model.complete(request(text))[0].text) }
        let together = try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for (index, text) in texts.enumerated() {
                group.addTask { (index, try await model.complete(request(text))[0].text) }
            }
            return try await group.reduce(into: [Int: String]()) { $0[$1.0] = $1.1 }
        }
        #expect(texts.indices.map { together[$0] } == alone)
    }

    @Test("samples differ from each other, and are the same again for the same seed")
    func sampling() async throws {
        let folder = try ScratchFolder()
        let model = try model(folder.url)
        let first = try await model.complete(request("hello", samples: 4, temperature: 1)).map(\.text)
        #expect(Set(first).count > 1)
        #expect(try await model.complete(request("hello", samples: 4, temperature: 1)).map(\.text) == first)
    }

    @Test("a stop text ends a sample and is not part of it, streamed or not")
    func stops() async throws {
        let folder = try ScratchFolder()
        let model = try model(folder.url)
        let whole = try await model.complete(request("hello"))[0].text
        let stop = String(whole.dropFirst(4).prefix(3))
        var stopped = request("hello")
        stopped.stops = [stop]
        var streamed = ""
        for try await event in model.stream(stopped) {
            if case .text(_, let text) = event { streamed += text }
            if case .finished(_, let completion) = event {
                #expect(completion.finish == .stop(stop))
                #expect(completion.text == streamed)
            }
        }
        #expect(whole.hasPrefix(streamed + stop))
    }

    @Test("a prompt longer than the context is refused")
    func tooLong() async throws {
        let folder = try ScratchFolder()
        let model = try model(folder.url)
        await #expect(throws: LanguageModelError.self) {
            try await model.complete(request(String(repeating: "long ", count: 400)))
        }
    }
}
