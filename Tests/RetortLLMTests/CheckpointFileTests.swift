import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

/// What users' folders hold beside what a folder of Retort's holds; right values are transformers 5.24's.
@Suite("Files of a checkpoint")
struct CheckpointFileTests {
    private let shape = DecoderConfiguration.qwen2(
        vocabularySize: 3080, hiddenSize: 32, intermediateSize: 48, layerCount: 2, headCount: 4, keyValueHeadCount: 2,
        maximumPositions: 128)

    @discardableResult
    private func write(to folder: URL, seed: UInt64 = 1) throws -> DecoderNetwork {
        let network = try DecoderNetwork(shape, weights: RandomWeights(seed: seed, deviation: 0.2))
        try Checkpoint.write(
            network, dtype: .float32, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: folder)
        return network
    }

    private func put(_ text: String, _ name: String, in folder: URL) throws {
        try Data(text.utf8).write(to: folder.appendingPathComponent(name))
    }

    private func edit(_ name: String, in folder: URL, _ change: (inout [String: JSONValue]) -> Void) throws {
        let file = folder.appendingPathComponent(name)
        var object = try CheckpointJSON.object(file) ?? [:]
        change(&object)
        try CheckpointJSON.write(object, to: file)
    }

    // MARK: Weights

    @Test("a head of its own is kept although the configuration ties it; one that is the embedding stays tied")
    func ownHead() throws {
        let folder = try ScratchFolder()
        let network = try write(to: folder.url)
        let file = folder.url.appendingPathComponent("model.safetensors")
        let all = network.parameters.map { (name: $0.name, tensor: $0.tensor) }
        try SafetensorsFile.write(all + [(name: "lm_head.weight", tensor: all[0].tensor)], to: file)
        #expect(try Checkpoint(folder: folder.url).network().configuration.tiesWordEmbeddings)
        let head = try Tensor.normal(all[0].tensor.shape, deviation: 0.2, seed: 9)
        try SafetensorsFile.write(all + [(name: "lm_head.weight", tensor: head)], to: file)
        let read = try Checkpoint(folder: folder.url).network()
        #expect(!read.configuration.tiesWordEmbeddings)
        #expect(try read.head.floats() == head.floats())
        #expect(try read.embedTokens.floats() == all[0].tensor.floats())
    }

    @Test("a tied embedding may be stored as the head alone")
    func headAlone() throws {
        let folder = try ScratchFolder()
        let network = try write(to: folder.url)
        let all = network.parameters.map {
            (name: $0.name == "model.embed_tokens.weight" ? "lm_head.weight" : $0.name, tensor: $0.tensor)
        }
        try SafetensorsFile.write(all, to: folder.url.appendingPathComponent("model.safetensors"))
        #expect(
            try Checkpoint(folder: folder.url).network().embedTokens.floats() == network.embedTokens.floats())
    }

    @Test("a single file counts, and not the index beside it; of an index alone, its shards")
    func singleFile() throws {
        let folder = try ScratchFolder()
        let network = try write(to: folder.url)
        let other = try DecoderNetwork(shape, weights: RandomWeights(seed: 2, deviation: 0.2))
        try SafetensorsFile.write(
            other.parameters.map { (name: $0.name, tensor: $0.tensor) },
            to: folder.url.appendingPathComponent("part.safetensors"))
        let map = other.parameters.map { "\"\($0.name)\": \"part.safetensors\"" }.joined(separator: ", ")
        try put("{\"weight_map\": {\(map)}}", "model.safetensors.index.json", in: folder.url)
        #expect(try Checkpoint(folder: folder.url).network().embedTokens.floats() == network.embedTokens.floats())
        try FileManager.default.removeItem(at: folder.url.appendingPathComponent("model.safetensors"))
        #expect(try Checkpoint(folder: folder.url).network().embedTokens.floats() == other.embedTokens.floats())
    }

    @Test(
        "a tensor that no part of the network takes is refused by name, and so is a way of holding weights in few bits",
        arguments: [
            ("model.layers.7.mlp.up_proj.weight", "'model.layers.7.mlp.up_proj.weight', which fits no part"),
            ("model.layers.0.mlp.up_proj.qweight", "GPTQ"),
            ("model.layers.0.mlp.up_proj.weight.absmax", "bitsandbytes, 4 bits"),
            ("model.layers.0.mlp.up_proj.SCB", "bitsandbytes, 8 bits"),
            ("model.layers.0.mlp.up_proj.weight_scale_inv", "fp8"),
        ])
    func strays(name: String, message: String) throws {
        let folder = try ScratchFolder()
        let network = try write(to: folder.url)
        let all = network.parameters.map { (name: $0.name, tensor: $0.tensor) }
        try SafetensorsFile.write(
            all + [(name: name, tensor: Tensor.zeros([2]))], to: folder.url.appendingPathComponent("model.safetensors"))
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: folder.url).network() }
        #expect("\(try #require(error))".contains(message))
    }

    @Test(
        "headers tell what loading would refuse",
        arguments: ["whole", "missing", "narrow", "stray", "vocabulary", "head", "heads"])
    func headers(fault: String) throws {
        let folder = try ScratchFolder()
        let network = try write(to: folder.url)
        var all = network.parameters.map { (name: $0.name, tensor: $0.tensor) }
        let place = try #require(all.firstIndex { $0.name == "model.layers.1.self_attn.o_proj.weight" })
        switch fault {
        case "missing": all.remove(at: place)
        case "narrow": all[place].tensor = try Tensor.zeros([32, 31])
        case "stray": all.append((name: "model.layers.1.self_attn.o_proj.bias", tensor: try Tensor.zeros([32])))
        case "vocabulary": try edit("config.json", in: folder.url) { $0["vocab_size"] = 3100 }
        case "head": all.append((name: "lm_head.weight", tensor: try Tensor.zeros([3072, 32])))
        case "heads": all.append((name: "lm_head.weight", tensor: try Tensor.zeros([3080, 32])))
        default: break
        }
        try SafetensorsFile.write(all, to: folder.url.appendingPathComponent("model.safetensors"))
        let checkpoint = try Checkpoint(folder: folder.url)
        guard !["whole", "heads"].contains(fault) else {
            _ = try checkpoint.network()
            return try checkpoint.checkWeights()
        }
        let found = #expect(throws: CheckpointError.self) { try checkpoint.network() }
        let error = try #require(found)
        #expect(throws: error) { try checkpoint.checkWeights() }
    }

    @Test("frequencies that old files hold are no weights")
    func frequencies() throws {
        let folder = try ScratchFolder()
        let network = try write(to: folder.url)
        let stored = (name: "model.layers.0.self_attn.rotary_emb.inv_freq", tensor: try Tensor.zeros([4]))
        try SafetensorsFile.write(
            network.parameters.map { (name: $0.name, tensor: $0.tensor) } + [stored],
            to: folder.url.appendingPathComponent("model.safetensors"))
        _ = try Checkpoint(folder: folder.url).network()
    }

    @Test("a dtype of few bits is named, and not called damage")
    func smallDType() throws {
        let folder = try ScratchFolder()
        let header = #"{"w":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}      "#
        var data = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
        data += Data(header.utf8) + Data([0, 0])
        let file = folder.url.appendingPathComponent("w.safetensors")
        try data.write(to: file)
        #expect(throws: CheckpointError.quantised(file: file.path, kind: "'w' is F8_E4M3")) {
            try SafetensorsFile(file)
        }
    }

    @Test("weights that are no numbers are found by name")
    func notFinite() throws {
        let folder = try ScratchFolder()
        let network = try write(to: folder.url)
        let spoiled = try #require(network.parameters.first { $0.name.hasSuffix("1.mlp.up_proj.weight") })
        try spoiled.tensor.assign(Tensor.full(spoiled.tensor.shape, .nan))
        let other = try ScratchFolder()
        try Checkpoint.write(
            network, dtype: .bfloat16, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: other.url)
        let file = other.url.appendingPathComponent("model.safetensors").path
        #expect(try Checkpoint(folder: other.url).notFinite() == .notFinite(file: file, name: spoiled.name))
        #expect(try Checkpoint(folder: folder.url).notFinite() == nil)
    }

    // MARK: Settings

    @Test("of two settings with one name the last counts, and a byte-order mark is no part of the file")
    func equalKeys() throws {
        let folder = try ScratchFolder()
        try write(to: folder.url)
        let file = folder.url.appendingPathComponent("config.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        try put(
            "\u{FEFF}" + text.dropLast() + #","rms_norm_eps":0.25,"rms_norm_eps":0.5}"#, "config.json", in: folder.url)
        #expect(try DecoderConfiguration(configFile: file).normEpsilon == 0.5)
    }

    @Test(
        "the tokens that end a text come from generation_config.json, else config.json, else the tokenizer",
        arguments: [
            (#"{"eos_token_id": 5}"#, #"6"#, [5]), (#"{"eos_token_id": [5, 7]}"#, #"6"#, [5, 7]), (nil, "6", [6]),
            (nil, "[6, 8]", [6, 8]), ("{}", "6", [6]), (nil, "null", []),
        ] as [(String?, String, [Int])])
    func endTokens(generation: String?, configured: String, expected: [Int]) throws {
        let folder = try ScratchFolder()
        try write(to: folder.url)
        if let generation {
            try put(generation, "generation_config.json", in: folder.url)
        } else {
            try FileManager.default.removeItem(at: folder.url.appendingPathComponent("generation_config.json"))
        }
        let value = try ExactJSON.value(of: configured)
        try edit("config.json", in: folder.url) { $0["eos_token_id"] = value }
        // The template's end of turn always ends one; the tokenizer's own end is the same token here.
        #expect(try Checkpoint(folder: folder.url).endTokens == Set(expected + [3071]))
    }

    @Test("an end that is no token is refused", arguments: ["\"</s>\"", "[1, \"x\"]", "-1", "1.5"])
    func badEnd(value: String) throws {
        let folder = try ScratchFolder()
        try write(to: folder.url)
        try put("{\"eos_token_id\": \(value)}", "generation_config.json", in: folder.url)
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: folder.url) }
        #expect("\(try #require(error))".contains("eos_token_id is no token"))
    }

    @Test("a context grows with what was trained on, where its angles are stretched by nothing")
    func context() throws {
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("config.json")
        func read(_ more: String) throws -> DecoderConfiguration {
            try put(
                #"{"model_type":"qwen2","vocab_size":9,"hidden_size":64,"intermediate_size":8,"num_hidden_layers":1,"#
                    + #""num_attention_heads":8,"num_key_value_heads":4,"max_position_embeddings":2048\#(more)}"#,
                "config.json", in: folder.url)
            return try DecoderConfiguration(configFile: file)
        }
        let plain = try read("")
        for (tokens, positions) in [(0, 2048), (2048, 2048), (2049, 2049), (5613, 5613)] {
            let longer = plain.reading(tokens)
            try longer.configJSON(dtype: "float32").write(to: file)
            #expect(try DecoderConfiguration(configFile: file).maximumPositions == positions)
            #expect(longer.rotary == plain.rotary)
        }
        let stretched = try read(#","rope_scaling":{"rope_type":"linear","factor":2.0}"#)
        #expect(stretched.reading(5613).maximumPositions == 2048)
    }

    @Test("what a family takes where its file says nothing is what transformers takes")
    func defaults() throws {
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("config.json")
        func read(_ type: String) throws -> DecoderConfiguration {
            try put(
                #"{"model_type":"\#(type)","vocab_size":9,"hidden_size":64,"intermediate_size":8,"#
                    + #""num_hidden_layers":1,"num_attention_heads":8,"num_key_value_heads":4}"#, "config.json",
                in: folder.url)
            return try DecoderConfiguration(configFile: file)
        }
        #expect(try read("qwen2").maximumPositions == 32_768)
        #expect(try read("qwen3").rotary.theta == 10_000)
        #expect(try read("mistral").windows == [4096])
        #expect(try read("phi3").normEpsilon == 1e-5)
        #expect(try read("gemma2").headDimension == 256)
        #expect(try read("gemma3_text").rotary.theta == 1_000_000)
    }

    // MARK: Tokens

    private func tokens(_ text: String, in folder: URL) throws -> [Int32] {
        try Tokenizer(folder).encode(text, specials: .recognised)
    }

    @Test("tokens that only tokenizer_config.json declares are added, in the order of their ids")
    func declaredInConfiguration() throws {
        let folder = try ScratchFolder()
        try write(to: folder.url)
        try edit("tokenizer_config.json", in: folder.url) {
            $0["added_tokens_decoder"] = [
                "3073": ["content": "<call>", "special": false], "3072": ["content": "<think>", "special": true],
                "3071": ["content": "<|im_end|>", "special": true, "normalized": false],
            ]
            $0["extra_special_tokens"] = ["<more>"]
        }
        #expect(try tokens("<think><call><more>", in: folder.url) == [3072, 3073, 3074])
        let tokenizer = try Tokenizer(folder.url)
        #expect(tokenizer.isSpecial(3072) && !tokenizer.isSpecial(3073) && tokenizer.isSpecial(3074))
    }

    @Test("so are those of added_tokens.json and special_tokens_map.json, where the configuration has no list")
    func declaredInOldFiles() throws {
        let folder = try ScratchFolder()
        try write(to: folder.url)
        try put(#"{"<b>": 3073, "<a>": 3072}"#, "added_tokens.json", in: folder.url)
        try put(
            #"{"additional_special_tokens": ["<a>", "<c>"], "cls_token": {"content": "<d>", "lstrip": true}}"#,
            "special_tokens_map.json", in: folder.url)
        let tokenizer = try Tokenizer(folder.url)
        #expect(tokenizer.encode("<a><b>", specials: .recognised) == [3072, 3073])
        #expect(tokenizer.id(of: "<d>") == 3074 && tokenizer.id(of: "<c>") == 3075)
        #expect(tokenizer.isSpecial(3072) && !tokenizer.isSpecial(3073) && tokenizer.isSpecial(3075))
    }

    @Test("a declared token of the vocabulary keeps its id and is taken whole")
    func declaredWord() throws {
        let folder = try ScratchFolder()
        try write(to: folder.url)
        let plain = try Tokenizer(folder.url)
        let id = try #require(plain.id(of: "the"))
        try edit("tokenizer_config.json", in: folder.url) { $0["additional_special_tokens"] = ["the"] }
        #expect(try tokens("other", in: folder.url).contains(id))
        #expect(!plain.encode("other", specials: .recognised).contains(id))
    }

    @Test("a declared id that is not the next free one is refused")
    func wrongID() throws {
        let folder = try ScratchFolder()
        try write(to: folder.url)
        try put(#"{"<b>": 3090}"#, "added_tokens.json", in: folder.url)
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(folder.url) }
        #expect("\(try #require(error))".contains("'<b>' as token 3090, where the next free one is 3072"))
    }
}

@Suite("Positions that are stretched")
struct RotaryPlanTests {
    private func plan(_ scaling: JSONValue) throws -> RotaryPlan {
        let folder = try ScratchFolder()
        let file = folder.url.appendingPathComponent("config.json")
        let fields: JSONValue = [
            "model_type": "llama", "vocab_size": 9, "hidden_size": 64, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 4, "max_position_embeddings": 256, "rope_parameters": scaling,
        ]
        try Data(ExactJSON.text(fields).utf8).write(to: file)
        return try DecoderConfiguration(configFile: file).rotary
    }

    private func expect(_ found: [Double], _ expected: [Double]) {
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-6 * b + 1e-12, "\(a) \(b)") }
        #expect(found.count == expected.count)
    }

    @Test("YaRN gives transformers' frequencies and amplitude")
    func yarn() throws {
        let first = try plan([
            "rope_type": "yarn", "rope_theta": 10_000, "factor": 4, "original_max_position_embeddings": 64,
        ])
        expect(
            first.frequencies(dimension: 16),
            [
                1, 0.23717082, 0.049999997, 0.0079056947, 0.0024999999, 0.00079056947, 0.00025000001, 7.9056947e-05,
            ])
        #expect(abs(first.amplitude - 1.138629436111989) < 1e-12)
        let second = try plan([
            "rope_type": "yarn", "rope_theta": 1_000_000, "factor": 8, "original_max_position_embeddings": 32,
            "beta_fast": 16, "beta_slow": 2, "truncate": false, "mscale": 0.7, "mscale_all_dim": 0.5,
        ])
        expect(
            second.frequencies(dimension: 16),
            [
                1, 0.022228492, 0.0039528473, 0.00070292666, 0.00012500001, 2.2228493e-05, 3.9528468e-06, 7.0292668e-07,
            ])
        #expect(abs(second.amplitude - 1.0376719952405395) < 1e-12)
    }

    @Test("dynamic positions are plain within the context, and stretched by a longer text's length")
    func dynamic() throws {
        let plan = try plan(["rope_type": "dynamic", "rope_theta": 10_000, "factor": 3])
        #expect(plan.frequencies(dimension: 16, length: 256) == RotaryPlan(theta: 10_000).frequencies(dimension: 16))
        expect(
            plan.frequencies(dimension: 16, length: 600),
            [
                1, 0.2510502, 0.063026205, 0.015822742, 0.0039723027, 0.00099724741, 0.00025035918, 6.285272e-05,
            ])
    }
}
