import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

/// Adapters that PEFT writes; `Tools/parity_adapters.py` compares with PEFT itself.
@Suite("Forms of adapters")
struct AdapterFormTests {
    private static let query = "model.layers.0.self_attn.q_proj"
    private static let down = "model.layers.1.mlp.down_proj"

    /// A base and, beside it, an adapter of rank 2 on two projections.
    private final class Scene {
        let folder: ScratchFolder
        let base: URL
        let adapter: URL
        let network: DecoderNetwork

        init(ties: Bool = true) throws {
            folder = try ScratchFolder()
            base = folder.url.appendingPathComponent("base")
            adapter = folder.url.appendingPathComponent("adapter")
            let shape = DecoderConfiguration.qwen2(
                vocabularySize: 3072, hiddenSize: 32, intermediateSize: 48, layerCount: 2, headCount: 4,
                keyValueHeadCount: 2, maximumPositions: 128, tiesWordEmbeddings: ties)
            network = try DecoderNetwork(shape, weights: RandomWeights(seed: 3, deviation: 0.3))
            try Checkpoint.write(
                network, dtype: .float32, tokenizerFrom: seedlings.appendingPathComponent("tokenizer"), to: base)
            try FileManager.default.createDirectory(at: adapter, withIntermediateDirectories: true)
        }

        func weight(_ name: String) throws -> Tensor {
            try #require(network.parameters.first { $0.name == "\(name).weight" }).tensor
        }

        func write(
            _ settings: [String: JSONValue] = [:], _ tensors: [String: Tensor], without missing: Set<String> = []
        ) throws {
            let usual: [String: JSONValue] = [
                "base_model_name_or_path": .string(base.path), "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2,
                "lora_alpha": 6, "target_modules": [.string(query), .string(down)],
            ]
            try CheckpointJSON.write(
                usual.merging(settings) { _, own in own }.filter { !missing.contains($0.key) },
                to: adapter.appendingPathComponent("adapter_config.json"))
            try SafetensorsFile.write(
                tensors.sorted { $0.key < $1.key }.map { (name: "base_model.model.\($0.key)", tensor: $0.value) },
                to: adapter.appendingPathComponent("adapter_model.safetensors"))
        }

        /// The two matrices of a module, by seed.
        func matrices(_ module: String, _ seed: UInt64, rank: Int = 2) throws -> [String: Tensor] {
            let shape = try weight(module).shape
            return [
                "\(module).lora_A.weight": try Tensor.normal([rank, shape[1]], deviation: 0.3, seed: seed),
                "\(module).lora_B.weight": try Tensor.normal([shape[0], rank], deviation: 0.3, seed: seed + 1),
            ]
        }

        func usual() throws -> [String: Tensor] {
            try matrices(query, 10).merging(matrices(down, 20)) { $1 }
        }

        func loaded() throws -> [String: [Float]] {
            try Checkpoint(folder: adapter).checkWeights()
            let network = try Checkpoint(folder: adapter).network()
            return try Dictionary(uniqueKeysWithValues: network.parameters.map { ($0.name, try $0.tensor.floats()) })
        }

        /// Why the adapter cannot be loaded, which its headers tell already.
        func refusal() throws -> String {
            let found = #expect(throws: CheckpointError.self) { try Checkpoint(folder: adapter).network() }
            let error = try #require(found)
            #expect(throws: error) { try Checkpoint(folder: adapter).checkWeights() }
            return "\(error)"
        }
    }

    private func isClose(_ found: [Float]?, _ expected: [Float], _ limit: Float = 1e-5) -> Bool {
        guard let found, found.count == expected.count else { return false }
        return zip(found, expected).allSatisfy { abs($0 - $1) <= limit }
    }

    private func product(_ tensors: [String: Tensor], _ module: String, _ scale: Double) throws -> Tensor {
        let up = try #require(tensors["\(module).lora_B.weight"])
        let down = try #require(tensors["\(module).lora_A.weight"])
        return try up.matmul(down) * scale
    }

    // MARK: Loaded

    @Test("ranks and alphas of single modules are found by name and by pattern")
    func patterns() throws {
        let scene = try Scene()
        let tensors = try scene.matrices(Self.query, 10, rank: 4).merging(try scene.matrices(Self.down, 20)) { $1 }
        try scene.write(
            ["rank_pattern": ["q_proj": 4], "alpha_pattern": [#"layers\.\d+\.mlp\.down_proj"#: 10]], tensors)
        let loaded = try scene.loaded()
        let query = try scene.weight(Self.query) + product(tensors, Self.query, 6 / 4)
        let down = try scene.weight(Self.down) + product(tensors, Self.down, 10 / 2)
        #expect(isClose(loaded["\(Self.query).weight"], try query.floats()))
        #expect(isClose(loaded["\(Self.down).weight"], try down.floats()))
    }

    @Test("patterns that give one module two values are refused")
    func ambiguous() throws {
        let scene = try Scene()
        try scene.write(["alpha_pattern": ["q_proj": 4, "self_attn.q_proj": 5]], scene.usual())
        #expect(try scene.refusal().contains("patterns give different values"))
    }

    @Test("DoRA: each output's row gets the stored length, alone and served beside others")
    func directions() async throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        for (module, seed) in [(Self.query, UInt64(30)), (Self.down, 31)] {
            let outputs = try scene.weight(module).shape[0]
            tensors["\(module).lora_magnitude_vector"] = try Tensor.normal([outputs], deviation: 1, seed: seed)
        }
        try scene.write(["use_dora": true], tensors)
        let loaded = try scene.loaded()
        let whole = try scene.weight(Self.query) + product(tensors, Self.query, 3)
        let magnitude = try #require(tensors["\(Self.query).lora_magnitude_vector"])
        let gain = try magnitude / whole.power(2).sum(axis: 1).power(0.5)
        #expect(isClose(loaded["\(Self.query).weight"], try (whole * gain.reshaped([32, 1])).floats()))
        let request = GenerationRequest(messages: [Message(.user, "one two")], maximumTokens: 12)
        let alone = try await LocalModel(folder: scene.adapter).complete(request)[0].text
        var beside = request
        beside.adapter = "dora"
        let model = try LocalModel(folder: scene.base, options: .init(adapters: ["dora": scene.adapter]))
        #expect(try await model.complete(beside)[0].text == alone)
        #expect(try await model.complete(request)[0].text != alone)
    }

    @Test(
        "PiSSA and OLoRA: matrices as they were drawn give the base back, alone and served beside others",
        arguments: ["pissa", "olora"])
    func principal(start: String) throws {
        let scene = try Scene()
        var tensors: [String: Tensor] = [:]
        for module in [Self.query, Self.down] {
            let weight = try scene.weight(module)
            let parts = try start == "pissa" ? weight.largestComponents(2) : weight.orthogonalComponents(2)
            tensors["\(module).lora_A.weight"] = parts.down
            // PEFT divides PiSSA's by the scale, 6 / 2, and OLoRA's not.
            tensors["\(module).lora_B.weight"] = start == "pissa" ? try parts.up * (1 / 3) : parts.up
        }
        try scene.write(["init_lora_weights": .string(start)], tensors)
        let loaded = try scene.loaded()
        for (name, tensor) in scene.network.parameters {
            #expect(isClose(loaded[name], try tensor.floats()), "\(name)")
        }
        let network = try Checkpoint(folder: scene.base).network()
        for (_, adapter) in try AdapterFile.attach(scene.adapter, to: network, servedAs: 0) {
            #expect(isClose(try adapter.delta().floats(), [Float](repeating: 0, count: try adapter.delta().count)))
        }
    }

    @Test("PiSSA takes out what the base's own weight says, before what was learned is added")
    func learnedPrincipal() throws {
        let scene = try Scene()
        let tensors = try scene.usual()
        try scene.write(["init_lora_weights": "pissa"], tensors)
        let weight = try scene.weight(Self.query)
        let taken = try weight.largestComponents(2)
        let expected = try weight - taken.up.matmul(taken.down) + product(tensors, Self.query, 3)
        #expect(isClose(try scene.loaded()["\(Self.query).weight"], try expected.floats()))
    }

    @Test("modules_to_save replace the base's; a tied embedding and its head then differ", arguments: [true, false])
    func wholeModules(ties: Bool) throws {
        let scene = try Scene(ties: ties)
        var tensors = try scene.usual()
        let embedding = try Tensor.normal([3072, 32], deviation: 0.2, seed: 40)
        let norm = try Tensor.normal([32], deviation: 0.2, seed: 41)
        tensors["model.embed_tokens.weight"] = embedding
        tensors["model.norm.weight"] = norm
        try scene.write(["modules_to_save": ["embed_tokens", "model.norm"]], tensors)
        let network = try Checkpoint(folder: scene.adapter).network()
        #expect(try network.embedTokens.floats() == embedding.floats())
        #expect(try network.norm.weight.floats() == norm.floats())
        #expect(!network.configuration.tiesWordEmbeddings)
        #expect(try network.head.floats() == scene.network.head.floats())
    }

    @Test(
        "a tied embedding is one matrix, into which PEFT loads what is stored of embedding and head, the head last",
        arguments: [
            (["lm_head"], 3072), (["model.embed_tokens"], 3072), (["model.embed_tokens", "lm_head"], 3072),
            (["lm_head"], 3080), (["model.embed_tokens", "lm_head"], 3080),
        ] as [([String], Int)])
    func sharedVocabulary(stored: [String], rows: Int) throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        for (module, seed) in zip(stored, UInt64(40)...) {
            tensors["\(module).weight"] = try Tensor.normal([rows, 32], deviation: 0.2, seed: seed)
        }
        try scene.write([:], tensors)
        try Checkpoint(folder: scene.adapter).checkWeights()
        let network = try Checkpoint(folder: scene.adapter).network()
        let last = try #require(stored.last.flatMap { tensors["\($0).weight"] })
        #expect(network.configuration.tiesWordEmbeddings && network.configuration.vocabularySize == rows)
        #expect(try network.embedTokens.floats() == last.floats())
    }

    @Test("an adapter beside a tied head starts from the matrix that is stored under the embedding's name, too")
    func sharedUnderAdapter() throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        let shared = try Tensor.normal([3072, 32], deviation: 0.2, seed: 40)
        tensors["model.embed_tokens.weight"] = shared
        tensors["lm_head.lora_A.weight"] = try Tensor.normal([2, 32], deviation: 0.3, seed: 52)
        tensors["lm_head.lora_B.weight"] = try Tensor.normal([3072, 2], deviation: 0.3, seed: 53)
        try scene.write(["target_modules": [.string(Self.query), .string(Self.down), "lm_head"]], tensors)
        let network = try Checkpoint(folder: scene.adapter).network()
        #expect(try network.embedTokens.floats() == shared.floats())
        #expect(isClose(try network.head.floats(), try (shared + product(tensors, "lm_head", 3)).floats()))
    }

    @Test("beside an embedding of modules_to_save the head keeps a matrix of its own, the base's or a stored one")
    func ownVocabulary() throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        for (module, seed) in [("model.embed_tokens", UInt64(40)), ("lm_head", 41)] {
            tensors["\(module).weight"] = try Tensor.normal([3072, 32], deviation: 0.2, seed: seed)
        }
        try scene.write(["modules_to_save": ["embed_tokens"]], tensors)
        let network = try Checkpoint(folder: scene.adapter).network()
        #expect(try network.embedTokens.floats() == #require(tensors["model.embed_tokens.weight"]).floats())
        #expect(try network.head.floats() == #require(tensors["lm_head.weight"]).floats())
    }

    @Test(
        "PiSSA and OLoRA on the head: PEFT stores it without the components", arguments: ["pissa", "olora"],
        [true, false])
    func principalHead(start: String, ties: Bool) throws {
        let scene = try Scene(ties: ties)
        let weight = scene.network.head
        let parts = try start == "pissa" ? weight.largestComponents(2) : weight.orthogonalComponents(2)
        let removed = try parts.up.matmul(parts.down)
        let rest = try weight - (start == "pissa" ? removed : removed * 3)
        let tensors = [
            "lm_head.lora_A.weight": try Tensor.normal([2, 32], deviation: 0.3, seed: 52),
            "lm_head.lora_B.weight": try Tensor.normal([3072, 2], deviation: 0.3, seed: 53),
        ]
        let settings: [String: JSONValue] = ["init_lora_weights": .string(start), "target_modules": ["lm_head"]]
        let expected = try rest + product(tensors, "lm_head", 3)
        // With the head and, as `save_embedding_layers=False` leaves it, without.
        for more in [["lm_head.base_layer.weight": rest], [:]] {
            try scene.write(settings, tensors.merging(more) { $1 })
            let network = try Checkpoint(folder: scene.adapter).network()
            #expect(isClose(try network.head.floats(), try expected.floats(), 1e-4))
            // A tied embedding is the same weight, from which the components were removed.
            #expect(
                isClose(try network.embedTokens.floats(), try (ties ? rest : scene.network.embedTokens).floats(), 1e-4))
        }
    }

    @Test("a rank above a projection's shorter side has as many components as that side")
    func wideRank() throws {
        let scene = try Scene()
        let weight = try scene.weight(Self.query)
        let parts = try weight.largestComponents(32)
        let tensors = [
            "\(Self.query).lora_A.weight": parts.down, "\(Self.query).lora_B.weight": try parts.up * (40 / 6),
        ]
        let settings: [String: JSONValue] = [
            "init_lora_weights": "pissa", "r": 40, "target_modules": [.string(Self.query)],
        ]
        try scene.write(settings, tensors)
        #expect(isClose(try scene.loaded()["\(Self.query).weight"], try weight.floats(), 1e-4))
    }

    @Test("after the vocabulary was resized, whole modules are stored three times; copies that differ are refused")
    func resized() throws {
        let scene = try Scene(ties: false)
        var tensors = try scene.usual()
        for (module, seed) in [("model.embed_tokens", UInt64(40)), ("lm_head", 41)] {
            let whole = try Tensor.normal([3080, 32], deviation: 0.2, seed: seed)
            tensors["\(module).weight"] = whole
            tensors["\(module).modules_to_save.weight"] = whole
            tensors["\(module).original_module.weight"] = try Tensor.zeros([3080, 32])
        }
        try scene.write(["modules_to_save": ["embed_tokens", "lm_head"]], tensors)
        let network = try Checkpoint(folder: scene.adapter).network()
        #expect(network.configuration.vocabularySize == 3080)
        #expect(try network.head.floats() == #require(tensors["lm_head.weight"]).floats())
        tensors["lm_head.modules_to_save.weight"] = try Tensor.zeros([3080, 32])
        try scene.write(["modules_to_save": ["embed_tokens", "lm_head"]], tensors)
        #expect(try scene.refusal().contains("are not the same"))
    }

    @Test("LoRA on embedding and head, each with its own delta")
    func vocabulary() throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        let (a, b) = (
            try Tensor.normal([2, 3072], deviation: 0.3, seed: 50),
            try Tensor.normal([32, 2], deviation: 0.3, seed: 51)
        )
        tensors["model.embed_tokens.lora_embedding_A"] = a
        tensors["model.embed_tokens.lora_embedding_B"] = b
        tensors["model.embed_tokens.base_layer.weight"] = scene.network.embedTokens
        tensors["lm_head.lora_A.weight"] = try Tensor.normal([2, 32], deviation: 0.3, seed: 52)
        tensors["lm_head.lora_B.weight"] = try Tensor.normal([3072, 2], deviation: 0.3, seed: 53)
        let targets: JSONValue = [.string(Self.query), .string(Self.down), "embed_tokens", "lm_head"]
        try scene.write(["target_modules": targets], tensors)
        let network = try Checkpoint(folder: scene.adapter).network()
        let embedding = try scene.network.embedTokens + (b.matmul(a) * 3).transposed(0, 1)
        #expect(isClose(try network.embedTokens.floats(), try embedding.floats()))
        let head = try scene.network.embedTokens + product(tensors, "lm_head", 3)
        #expect(isClose(try network.head.floats(), try head.floats()))
    }

    @Test("single rows of a tied embedding are the head's, too")
    func rows() throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        let values = try Tensor.normal([2, 32], deviation: 0.3, seed: 60)
        tensors["model.embed_tokens.token_adapter.trainable_tokens_delta"] = values
        try scene.write(["trainable_token_indices": [7, 3000]], tensors)
        let network = try Checkpoint(folder: scene.adapter).network()
        #expect(network.configuration.tiesWordEmbeddings)
        let rows = try network.embedTokens.rows(Tensor(integers: [7, 3000])).floats()
        #expect(rows == (try values.floats()))
        let same = try network.embedTokens.narrowed(0, 8..<9).floats()
        #expect(same == (try scene.network.embedTokens.narrowed(0, 8..<9).floats()))
    }

    @Test("biases that were learned replace the base's")
    func biases() throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        let bias = try Tensor.normal([32], deviation: 1, seed: 70)
        tensors["\(Self.query).base_layer.bias"] = bias
        try scene.write(["bias": "lora_only"], tensors)
        #expect(try scene.loaded()["\(Self.query).bias"] == bias.floats())
    }

    @Test(
        "target_modules may be a pattern, a word or names with layers",
        arguments: [
            ["target_modules": #".*layers\.(0\.self_attn\.q|1\.mlp\.down)_proj"#],
            ["target_modules": #".*layers\.(?P<place>0\.self_attn\.q|1\.mlp\.down)_proj"#],
            [
                "target_modules": ["q_proj", "down_proj"],
                "exclude_modules": #"model\.layers\.(1\.self_attn|0\.mlp)\..*"#,
            ],
            [
                "rank_pattern": [:], "merge_weights": false, "megatron_config": [:], "lora_alpha": 6.0,
                "revision": .null, "peft_version": "0.21.2",
                "inference_mode": true,
            ],
        ] as [[String: JSONValue]])
    func scopes(settings: [String: JSONValue]) throws {
        let scene = try Scene()
        try scene.write(settings, scene.usual())
        #expect(try scene.loaded().count == scene.network.parameters.count)
    }

    @Test("layers_to_transform narrows names")
    func layers() throws {
        let scene = try Scene()
        try scene.write(
            ["target_modules": ["q_proj"], "layers_to_transform": [0]], scene.matrices(Self.query, 10))
        _ = try scene.loaded()
        try scene.write(
            ["target_modules": ["q_proj"], "layers_to_transform": 1, "layers_pattern": "layers"],
            scene.matrices(Self.query, 10))
        #expect(try scene.refusal().contains("which target_modules"))
    }

    @Test("what is missing takes PEFT's defaults: rank 8, alpha 8")
    func defaults() throws {
        let scene = try Scene()
        let tensors = try scene.matrices(Self.query, 10, rank: 8)
        try scene.write(["target_modules": [.string(Self.query)]], tensors, without: ["r", "lora_alpha"])
        let expected = try scene.weight(Self.query) + product(tensors, Self.query, 1)
        #expect(isClose(try scene.loaded()["\(Self.query).weight"], try expected.floats()))
    }

    @Test("a bias of the second matrix is added to the projection's own, and refused where there is none")
    func biasOfItsOwn() throws {
        let scene = try Scene()
        var tensors = try scene.matrices(Self.query, 10)
        tensors["\(Self.query).lora_B.bias"] = try Tensor.normal([32], deviation: 0.3, seed: 30)
        try scene.write(["lora_bias": true, "target_modules": [.string(Self.query)]], tensors)
        let own = try #require(scene.network.parameters.first { $0.name == "\(Self.query).bias" }).tensor
        let expected = try own + #require(tensors["\(Self.query).lora_B.bias"]) * 3
        let loaded = try scene.loaded()
        #expect(isClose(loaded["\(Self.query).bias"], try expected.floats()))
        let weight = try scene.weight(Self.query) + product(tensors, Self.query, 3)
        #expect(isClose(loaded["\(Self.query).weight"], try weight.floats()))
        #expect(throws: CheckpointError.self) { try AdapterFile.attach(scene.adapter, to: scene.network, servedAs: 0) }

        let other = try Scene()
        tensors = try other.matrices(Self.down, 20)
        tensors["\(Self.down).lora_B.bias"] = try Tensor.zeros([32])
        try other.write(["lora_bias": true, "target_modules": [.string(Self.down)]], tensors)
        #expect(try other.refusal().contains("belongs to no bias of the base model"))
    }

    // MARK: Refused by name

    @Test(
        "what would be computed otherwise is refused by name",
        arguments: [
            (["alora_invocation_tokens": [1, 2]], "'alora_invocation_tokens'"),
            (["init_lora_weights": "pissa_niter_4"], "init_lora_weights 'pissa_niter_4'"),
            (["lora_dropout": -0.1], "'lora_dropout' is -0.1"), (["lora_dropout": 1.5], "'lora_dropout' is 1.5"),
            (["init_lora_weights": "corda"], "init_lora_weights 'corda'"),
            (["init_lora_weights": "loftq"], "init_lora_weights 'loftq'"),
            (["init_lora_weights": "lora_ga"], "init_lora_weights 'lora_ga'"),
            (["layer_replication": [[0, 1], [0, 2]]], "'layer_replication'"),
            (["lora_bias": true], "it has no lora_B.bias"),
            (["lora_bias": true, "use_dora": true], "'lora_bias' together with DoRA"),
            (["use_qalora": true], "'use_qalora'"), (["peft_type": "IA3"], "of the type IA3"),
            (["task_type": "SEQ_CLS"], "for the task SEQ_CLS"), (["use_mora": true], "the setting 'use_mora'"),
            (["target_modules": ["q_proj", "down_proj"]], "it holds nothing for"),
            (["target_modules": ["q_proj"]], "which target_modules"),
            (
                ["target_modules": [.string(AdapterFormTests.query)]],
                "'model.layers.1.mlp.down_proj', which target_modules leaves out"
            ),
            (["r": "2"], #"'r' is "2", where an integer is expected"#), (["r": 0], "'r' is 0"),
            (["r": .null], "'r' is null"), (["lora_alpha": .null], "'lora_alpha' is null, where a number"),
            (["lora_alpha": "6"], #"'lora_alpha' is "6""#), (["lora_dropout": .null], "'lora_dropout' is null"),
            (["bias": .null], "'bias' is null"), (["bias": 1], "'bias' is 1, where a text is expected"),
            (["use_dora": 0], "'use_dora' is 0, where true or false is expected"),
            (["trainable_token_indices": [3, 9]], "it has no rows of 'embed_tokens', which trainable_token_indices"),
            (["rank_pattern": ["q_proj": 2.5]], "'rank_pattern' is"),
            (["rank_pattern": ["(": 2]], "the pattern '('"),
            (["use_dora": true], "no lora_magnitude_vector"), (["bias": "some"], "the bias 'some'"),
            (["base_model_name_or_path": "Qwen/Qwen2.5-0.5B"], "names 'Qwen/Qwen2.5-0.5B' as its base model"),
            (["modules_to_save": ["lm_head"]], "'lm_head.weight', which modules_to_save names"),
            (["inference_mode": true], "neither modules_to_save nor 'bias' names"),
        ] as [([String: JSONValue], String)])
    func refused(settings: [String: JSONValue], message: String) throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        if settings["inference_mode"] != nil { tensors["model.norm.weight"] = try Tensor.zeros([32]) }
        try scene.write(settings, tensors)
        #expect(try scene.refusal().contains(message))
    }

    @Test("what the settings and the tensors do not agree on is no damage of a file")
    func noDamage() throws {
        let scene = try Scene()
        try scene.write(["r": 3], scene.usual())
        let refusal = try scene.refusal()
        #expect(refusal.contains("has the shape [2, 32]") && refusal.contains("does not fit adapter_config.json"))
        #expect(!refusal.contains("damaged"))
    }

    @Test(
        "names that PEFT does not write are told",
        arguments: [
            ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.other.weight", "1 of its 5 tensors"),
            ("model.layers.0.self_attn.q_proj.lora_A.weight", "1 of its 5 tensors"),
            ("transformer.h.0.attn.lora_down.weight", "lora_down.weight'"),
            ("base_model.model.model.layers.0.self_attn.q_proj.lora_down.weight", "lora_A.weight'"),
        ])
    func foreignNames(name: String, message: String) throws {
        let scene = try Scene()
        try scene.write([:], scene.usual())
        let file = scene.adapter.appendingPathComponent("adapter_model.safetensors")
        let stored = try SafetensorsFile(file)
        let all = try stored.entries.keys.sorted().map { (name: $0, tensor: try stored.tensor($0)) }
        try SafetensorsFile.write(all + [(name: name, tensor: try Tensor.zeros([2]))], to: file)
        let refusal = try scene.refusal()
        #expect(refusal.contains("names such as '\(name)'") && refusal.contains(message))
        #expect(!refusal.contains("damaged"))
    }

    @Test("numbers that are none are told of the file that has them")
    func notFinite() throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        try scene.write([:], tensors)
        #expect(try Checkpoint(folder: scene.adapter).notFinite() == nil)
        tensors["\(Self.down).lora_B.weight"] = try Tensor.full([32, 2], .infinity)
        try scene.write([:], tensors)
        let file = scene.adapter.appendingPathComponent("adapter_model.safetensors").path
        #expect(
            try Checkpoint(folder: scene.adapter).notFinite()
                == .notFinite(file: file, name: "base_model.model.\(Self.down).lora_B.weight"))
        #expect(try Checkpoint(folder: scene.base).notFinite() == nil)
    }

    @Test("what changes more than projections is not served beside others, and the folder alone is")
    func notBeside() async throws {
        let scene = try Scene()
        var tensors = try scene.usual()
        tensors["model.norm.weight"] = try Tensor.full([32], 2)
        try scene.write(["modules_to_save": ["model.norm"]], tensors)
        let error = #expect(throws: CheckpointError.self) {
            try LocalModel(folder: scene.base, options: .init(adapters: ["a": scene.adapter]))
        }
        #expect("\(try #require(error))".contains("serve the adapter's folder as a model of its own"))
        let request = GenerationRequest(messages: [Message(.user, "a")], maximumTokens: 2)
        _ = try await LocalModel(folder: scene.adapter).complete(request)
    }

    @Test("a pickle is named as one")
    func pickle() throws {
        let scene = try Scene()
        try scene.write([:], scene.usual())
        let file = scene.adapter.appendingPathComponent("adapter_model.safetensors")
        try FileManager.default.moveItem(at: file, to: scene.adapter.appendingPathComponent("adapter_model.bin"))
        #expect(try scene.refusal().contains("adapter_model.bin: a pickle"))
    }

    @Test("target_modules are written as what was adapted")
    func writtenTargets() throws {
        let scene = try Scene()
        let network = try Checkpoint(folder: scene.base).network()
        for (name, linear) in network.projections where name.hasSuffix("q_proj") || name == Self.down {
            linear.adapter = LowRankAdapter(
                down: try Tensor.zeros([2, linear.weight.shape[1]]), up: try Tensor.zeros([linear.weight.shape[0], 2]),
                scale: 1)
        }
        try AdapterFile.write(
            network, AdapterConfiguration(baseModel: scene.base.path, rank: 2, alpha: 2, dropout: 0, targets: ["x"]),
            to: scene.adapter)
        _ = try scene.loaded()
    }
}
