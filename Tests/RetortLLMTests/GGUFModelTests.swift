import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

/// What llama.cpp makes of published files is compared by `Tools/parity_gguf.py`; here files that Retort wrote come back.
@Suite("GGUF files as checkpoints")
struct GGUFModelTests {
    /// A family's checkpoint, and the file it was written to.
    struct Pair: ~Copyable {
        let scratch: ScratchFolder
        let network: DecoderNetwork
        let original: Checkpoint
        let file: URL
    }

    private func pair(
        _ family: Family, name: String = "m", _ precision: GGUFExport.Precision = .f32
    ) throws -> Pair {
        let scratch = try ScratchFolder()
        let folder = scratch.url.appendingPathComponent("folder")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let network = try family.write(to: folder)
        let original = try Checkpoint(folder: folder)
        let file = scratch.url.appendingPathComponent("\(name).gguf")
        try GGUFExport.write(network, of: original, name: name, precision: precision, to: file)
        return Pair(scratch: scratch, network: network, original: original, file: file)
    }

    private static let ids: [Int32] = [5, 900, 17, 3000, 44, 7, 7, 12, 2048, 90, 31, 4]

    private static let families = Family.all.filter {
        $0.isKnownToGGUF && !["Qwen2 with windows", "Llama stretched by YaRN"].contains($0.testDescription)
    }

    @Test("a family's file comes back with the same weights, shape and scores", arguments: families)
    func roundTrip(family: Family) throws {
        let pair = try pair(family)
        let read = try Checkpoint(folder: pair.file)
        let network = try read.network()
        #expect(network.parameters.map(\.name) == pair.network.parameters.map(\.name))
        for (own, other) in zip(network.parameters, pair.network.parameters) {
            #expect(own.tensor.shape == other.tensor.shape)
            // What Gemma scales scores by is multiplied into its queries.
            if own.name.contains(".q_"), family.testDescription.hasPrefix("Gemma") { continue }
            // Its norms have one added to them on the way.
            let limit: Float = own.name.hasSuffix("norm.weight") ? 1e-6 : 0
            let difference = zip(try own.tensor.floats(), try other.tensor.floats()).map { abs($0 - $1) }.max() ?? 0
            #expect(difference <= limit, "\(own.name)")
        }
        // Where llama.cpp knows no windows, the file ends with the first one.
        let ids = Array(Self.ids.prefix(8))
        let scores = try network.scores(of: ids, at: 0..<ids.count).floats()
        let expected = try pair.network.scores(of: ids, at: 0..<ids.count).floats()
        let most = expected.map(abs).max() ?? 0
        #expect(zip(scores, expected).allSatisfy { abs($0 - $1) <= 1e-5 * most })
        let (own, other) = (read.configuration, pair.original.configuration)
        #expect(own.windows == other.windows || family.testDescription == "Mistral" || own.names.gates.count == 1)
        #expect(own.tiesWordEmbeddings == other.tiesWordEmbeddings)
        #expect(own.rotary.theta == other.rotary.theta)
    }

    @Test("tokens, template and ends are the checkpoint's")
    func voice() throws {
        let pair = try pair(Family.all[0])
        let read = try Checkpoint(folder: pair.file)
        let texts = [
            "Hello", " Hello  world   !", "\n\n  def f(x):\n\treturn x ** 2\r\n", "12345 3.14", "Zürich: 北京 一二 Привет",
            "👩🏽‍🚀", "<|im_start|>user\nhi<|im_end|>", "I'm WE'LL", "",
        ]
        for text in texts {
            for specials in [Tokenizer.SpecialTokens.recognised, .asText] {
                let ids = read.tokenizer.encode(text, specials: specials)
                #expect(ids == pair.original.tokenizer.encode(text, specials: specials))
                #expect(read.tokenizer.decode(ids) == text)
            }
        }
        let chat = [
            Message(.system, "Be brief."), Message(.user, "How many?"), Message(.assistant, "Two.", trainable: true),
        ]
        #expect(
            try read.template.render(chat, then: .nothing, with: read.tokenizer)
                == pair.original.template.render(chat, then: .nothing, with: pair.original.tokenizer))
        #expect(read.endTokens.isSuperset(of: pair.original.endTokens))
        #expect(read.tokenizer.vocabularySize == pair.original.tokenizer.vocabularySize)
    }

    @Test("matrices in half and eight bits are what was stored", arguments: [GGUFExport.Precision.f16, .bf16, .q8_0])
    func precisions(precision: GGUFExport.Precision) throws {
        let pair = try pair(Family.all[2], precision)
        try Checkpoint(folder: pair.file).checkWeights()
        let network = try Checkpoint(folder: pair.file).network()
        let steps: Float = precision == .f16 ? 0x1p-11 : precision == .bf16 ? 0x1p-8 : 1.0 / 127
        for (own, other) in zip(network.parameters, pair.network.parameters) {
            let (found, expected) = (try own.tensor.floats(), try other.tensor.floats())
            let most = expected.map(abs).max() ?? 0
            #expect(zip(found, expected).allSatisfy { abs($0 - $1) <= steps * most }, "\(own.name)")
        }
    }

    @Test("a folder written from a file is the file's model")
    func folder() throws {
        for family in [Family.all[0], Family.all[6], Family.all[7]] {
            let pair = try pair(family)
            let read = try Checkpoint(folder: pair.file)
            let network = try read.network()
            let folder = pair.scratch.url.appendingPathComponent("written")
            try? FileManager.default.removeItem(at: folder)
            try Checkpoint.write(network, dtype: .float32, tokenizerFrom: pair.file, to: folder)
            let written = try Checkpoint(folder: folder)
            #expect(
                try written.network().scores(of: Self.ids, at: 3..<5).floats()
                    == network.scores(of: Self.ids, at: 3..<5).floats())
            let text = "Zürich <|im_start|> 12345 \"x\" \u{1F9EC}"
            #expect(
                written.tokenizer.encode(text, specials: .recognised)
                    == read.tokenizer.encode(text, specials: .recognised))
            #expect(written.endTokens == read.endTokens)
            let other = pair.scratch.url.appendingPathComponent("exported")
            try? FileManager.default.removeItem(at: other)
            try FolderExport(read, network).write(dtype: .float32, to: other)
            #expect(try Checkpoint(folder: other).endTokens == read.endTokens)
        }
    }

    @Test("a file that is written again from itself says the same")
    func again() throws {
        let pair = try pair(Family.all[7])
        let read = try Checkpoint(folder: pair.file)
        let file = pair.scratch.url.appendingPathComponent("again.gguf")
        try GGUFExport.write(read.network(), of: read, name: "m", precision: .f32, to: file)
        #expect(try GGUFFile(file).keys == GGUFFile(pair.file).keys)
    }

    @Test("it is served like a folder, and called after the file")
    func served() async throws {
        let pair = try pair(Family.all[0], name: "small")
        let request = GenerationRequest(messages: [Message(.user, "The birthplace of")], maximumTokens: 8)
        let own = try LocalModel(folder: pair.file, options: .init(weights: .float32))
        let other = try LocalModel(folder: pair.original.folder, options: .init(weights: .float32))
        let (found, expected) = (try await own.complete(request), try await other.complete(request))
        #expect(found.map(\.text) == expected.map(\.text))
        #expect(own.identity == "small")
    }

    // MARK: Adapters

    @Test("an adapter over a file knows it by its hash")
    func adapter() throws {
        let pair = try pair(Family.all[0], name: "base")
        let read = try Checkpoint(folder: pair.file)
        let network = try read.network()
        for (place, (_, linear)) in network.projections.enumerated() {
            linear.adapter = LowRankAdapter(
                down: try Tensor.normal([2, linear.weight.shape[1]], deviation: 0.3, seed: UInt64(place)),
                up: try Tensor.normal([linear.weight.shape[0], 2], deviation: 0.3, seed: UInt64(place + 90)), scale: 2)
        }
        let folder = pair.scratch.url.appendingPathComponent("adapter")
        try AdapterFile.write(
            network, AdapterConfiguration(baseModel: "../base.gguf", rank: 2, alpha: 4, dropout: 0, targets: []),
            over: read.folders.base, to: folder)
        let scores = try network.scores(of: Self.ids, at: 2..<3).floats()
        let merged = try Checkpoint(folder: folder)
        #expect(merged.folder.lastPathComponent == "base.gguf")
        let found = try merged.network().scores(of: Self.ids, at: 2..<3).floats()
        #expect(zip(found, scores).allSatisfy { abs($0 - $1) < 1e-3 })
        _ = try LocalModel(folder: pair.file, options: .init(adapters: ["a": folder]))
        // Another file under the name.
        let other = try self.pair(Family.all[0], name: "base", .f16)
        try FileManager.default.removeItem(at: pair.file)
        try FileManager.default.copyItem(at: other.file, to: pair.file)
        let file = pair.file
        let alone = #expect(throws: CheckpointError.self) { try Checkpoint(folder: folder).network() }
        let beside = #expect(throws: CheckpointError.self) {
            try LocalModel(folder: file, options: .init(adapters: ["a": folder]))
        }
        for error in [alone, beside] {
            #expect("\(try #require(error))".contains("was trained over a model with the SHA-256"))
        }
    }

    // MARK: Parts

    @Test("a model in parts is one model, whichever of them is named; a part that is missing is named")
    func parts() throws {
        let pair = try pair(Family.all[0])
        let whole = try GGUFContents(pair.file)
        let names = whole.tensors.keys.sorted()
        let scratch = pair.scratch.url
        func part(_ number: Int) -> URL { scratch.appendingPathComponent("p-0000\(number)-of-00003.gguf") }
        let bytes = try Data(contentsOf: pair.file)
        for number in 0..<3 {
            let own = names.indices.filter { $0 % 3 == number }.map { names[$0] }
            var file = GGUFBytes(keys: number == 0 ? GGUFBytes.keys(of: bytes) : [])
            file.keys.append(("split.no", 2, GGUFBytes.little(UInt16(number))))
            file.keys.append(("split.count", 2, GGUFBytes.little(UInt16(3))))
            file.keys.append(("split.tensors.count", 5, GGUFBytes.little(Int32(names.count))))
            for name in own {
                let entry = try #require(whole.tensors[name])
                file.tensors.append((name, entry.shape, entry.storage.rawValue, bytes[entry.range]))
            }
            try file.data.write(to: part(number + 1))
        }
        let expected = try pair.network.scores(of: Self.ids, at: 2..<3).floats()
        for number in [1, 3] {
            let network = try Checkpoint(folder: part(number)).network()
            #expect(try network.scores(of: Self.ids, at: 2..<3).floats() == expected)
        }
        #expect(CheckpointSource.name(of: part(2)) == "p")
        #expect(try CheckpointSource.files(ofGGUF: part(2)) == (1...3).map(part))
        try FileManager.default.removeItem(at: part(2))
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: part(1)) }
        #expect("\(try #require(error))".contains("p-00002-of-00003.gguf"))
    }

    // MARK: SentencePiece

    @Test("a vocabulary with scores merges by them, the leftmost of equals first, and falls back to bytes")
    func pieces() throws {
        let texts = ["<unk>", "<s>", "</s>", "▁", "a", "b", "aa", "▁a", "aab", "  ", "ab"]
        let byteTokens = (0..<256).map { ByteFallback.token(for: UInt8($0)) }
        let ids = Dictionary(
            uniqueKeysWithValues: (texts + byteTokens).enumerated().map { (Array($1.utf8), Int32($0)) })
        var scores = [Float](repeating: 0, count: ids.count)
        for (id, score) in [(6, -1), (7, -3), (8, -4), (10, -2)] { scores[id] = Float(score) }
        let model = PieceModel(ids, byteIDs: (0..<256).map { Int32(texts.count + $0) }, scores: scores)
        func tokens(_ text: String) -> [Int32] { model.tokens(of: Array(text.utf8)) }
        #expect(tokens("aaa") == [6, 4])
        #expect(tokens("aab") == [8])
        #expect(tokens("▁aa") == [3, 6])
        #expect(tokens("▁ab") == [3, 10])
        #expect(tokens("é") == [Int32(texts.count + 0xC3), Int32(texts.count + 0xA9)])
        #expect(tokens("") == [])
        #expect(model.merges().first.map { [$0.left, $0.right] } == [Array("a".utf8), Array("a".utf8)])
    }
}
