import Foundation
import RetortCore
import Testing

@testable import RetortLLM

@Suite("GGUF files that are damaged, hostile, or say what is not done here")
struct GGUFHostileTests {
    private static func string(_ text: String) -> (UInt32, Data) { (8, GGUFBytes.string(text)) }

    private static func count(_ number: UInt32) -> (UInt32, Data) { (4, GGUFBytes.little(number)) }

    private static func float(_ number: Float) -> (UInt32, Data) { (6, GGUFBytes.little(number.bitPattern)) }

    private static func flag(_ flag: Bool) -> (UInt32, Data) { (7, Data([flag ? 1 : 0])) }

    private static func strings(_ all: [String]) -> (UInt32, Data) {
        (9, all.reduce(GGUFBytes.little(UInt32(8)) + GGUFBytes.little(UInt64(all.count))) { $0 + GGUFBytes.string($1) })
    }

    private static func integers(_ all: [Int32]) -> (UInt32, Data) {
        (9, all.reduce(GGUFBytes.little(UInt32(5)) + GGUFBytes.little(UInt64(all.count))) { $0 + GGUFBytes.little($1) })
    }

    /// A whole Qwen2 of one layer, with a vocabulary of bytes and one merge.
    private static func model() -> GGUFBytes {
        let tokens =
            (0..<256).map { String(decoding: ByteLevel.encode([UInt8($0)]), as: UTF8.self) } + [
                "ab", "<|im_start|>", "<|im_end|>", "x0", "x1", "x2", "x3", "x4",
            ]
        let kinds = tokens.indices.map { Int32((257...258).contains($0) ? 3 : $0 > 258 ? 5 : 1) }
        let values: [(String, (UInt32, Data))] = [
            ("general.architecture", string("qwen2")), ("qwen2.block_count", count(1)),
            ("qwen2.context_length", count(64)), ("qwen2.embedding_length", count(32)),
            ("qwen2.feed_forward_length", count(32)), ("qwen2.attention.head_count", count(2)),
            ("qwen2.attention.head_count_kv", count(1)),
            ("qwen2.attention.layer_norm_rms_epsilon", float(1e-6)), ("qwen2.rope.freq_base", float(10_000)),
            ("tokenizer.ggml.model", string("gpt2")), ("tokenizer.ggml.pre", string("qwen2")),
            ("tokenizer.ggml.tokens", strings(tokens)), ("tokenizer.ggml.token_type", integers(kinds)),
            ("tokenizer.ggml.merges", strings(["a b"])), ("tokenizer.ggml.eos_token_id", count(258)),
            ("tokenizer.ggml.add_bos_token", flag(false)),
        ]
        var file = GGUFBytes(keys: values.map { ($0.0, $0.1.0, $0.1.1) })
        func add(_ name: String, _ shape: [Int], _ storage: GGUFStorage) {
            let size = storage.size(of: shape.reduce(1, *))
            file.tensors.append((name, shape, storage.rawValue, Data((0..<size).map { UInt8(($0 * 7 + 1) & 0x3F) })))
        }
        add("token_embd.weight", [tokens.count, 32], .q8_0)
        add("output_norm.weight", [32], .float32)
        for (part, shape) in [
            ("attn_q", [32, 32]), ("attn_k", [16, 32]), ("attn_v", [16, 32]), ("attn_output", [32, 32]),
            ("ffn_gate", [32, 32]), ("ffn_up", [32, 32]), ("ffn_down", [32, 32]),
        ] { add("blk.0.\(part).weight", shape, .q4_0) }
        for (part, size) in [("attn_q", 32), ("attn_k", 16), ("attn_v", 16)] {
            add("blk.0.\(part).bias", [size], .float32)
        }
        add("blk.0.attn_norm.weight", [32], .float32)
        add("blk.0.ffn_norm.weight", [32], .float32)
        return file
    }

    /// Reads all of a file.
    private static func read(_ data: Data, in folder: URL) throws {
        let file = folder.appendingPathComponent("m.gguf")
        try data.write(to: file)
        let model = try GGUFModel(file)
        let source = CheckpointSource.gguf(model)
        for name in model.names { _ = try model.tensor(name) }
        let tokenizer = try Tokenizer(source.tokenizerDefinition())
        _ = tokenizer.decode(tokenizer.encode("ab é <|im_end|>", specials: .recognised))
        _ = try CheckpointFolders(file).template(for: tokenizer)
    }

    /// A way to spoil the file, and what is said of it.
    struct Fault: Sendable, CustomTestStringConvertible {
        let message: String
        let spoil: @Sendable (inout GGUFBytes) -> Void

        init(_ message: String, _ spoil: @escaping @Sendable (inout GGUFBytes) -> Void) {
            self.message = message
            self.spoil = spoil
        }

        var testDescription: String { message }
    }

    private static func set(_ name: String, _ value: (UInt32, Data)) -> @Sendable (inout GGUFBytes) -> Void {
        { file in
            file.keys.removeAll { $0.name == name }
            file.keys.append((name, value.0, value.1))
        }
    }

    static let faults: [Fault] = [
        Fault("it does not begin with 'GGUF'") { $0.magic = Data("GGML".utf8) },
        Fault("version 1 of GGUF") { $0.version = 1 },
        Fault("version 4 of GGUF") { $0.version = 4 },
        Fault("a big-endian GGUF file") { $0.version = UInt32(3).bigEndian },
        Fault("the number of tensors at byte 8 is 1152921504606846976") { $0.tensorCount = 1 << 60 },
        Fault("the number of keys at byte 16 is 1152921504606846976") { $0.keyCount = 1 << 60 },
        Fault("at byte 24 claims") {
            $0.keys.insert((String(repeating: "k", count: 70_000), 4, Data(count: 4)), at: 0)
        },
        Fault("it has the key 'qwen2.block_count' twice, again at byte") { $0.keys.append($0.keys[1]) },
        Fault("'general.x' at byte", set("general.x", (77, Data(count: 8)))),
        Fault("'general.x' at byte", set("general.x", (8, GGUFBytes.little(UInt64(1) << 60)))),
        Fault(
            "the length of 'general.x' at byte",
            set("general.x", (9, GGUFBytes.little(UInt32(8)) + GGUFBytes.little(UInt64(1) << 60)))),
        Fault("'general.x' has lists in lists, more than 4", set("general.x", (9, nested(40)))),
        Fault("the setting 'general.x (at byte", set("general.x", count(1))),
        Fault("the setting 'qwen2.shine (at byte", set("qwen2.shine", float(0.5))),
        Fault("the setting 'tokenizer.ggml.shine (at byte", set("tokenizer.ggml.shine", flag(true))),
        Fault("'qwen2.attention.clamp_kqv' (at byte", set("qwen2.attention.clamp_kqv", float(8))),
        Fault("'qwen2.expert_count' (at byte", set("qwen2.expert_count", count(8))),
        Fault("'qwen2.attn_logit_softcapping' (at byte", set("qwen2.attn_logit_softcapping", float(50))),
        Fault("'qwen2.attention.sliding_window' (at byte", set("qwen2.attention.sliding_window", count(16))),
        Fault("'qwen2.rope.scaling.type' (at byte", set("qwen2.rope.scaling.type", string("yarn"))),
        Fault("'qwen2.rope.dimension_count' (at byte", set("qwen2.rope.dimension_count", count(8))),
        Fault(
            "'qwen2.attention.value_length' (at byte",
            { file in
                set("qwen2.attention.key_length", count(16))(&file)
                set("qwen2.attention.value_length", count(8))(&file)
            }),
        Fault("no count from 1 to 16777216", set("qwen2.embedding_length", count(.max))),
        Fault("no count from 1 to 16777216", set("qwen2.block_count", count(0))),
        Fault("it lacks the key 'qwen2.embedding_length'") {
            $0.keys.removeAll { $0.name == "qwen2.embedding_length" }
        },
        Fault("'qwen2.vocab_size' (at byte", set("qwen2.vocab_size", count(7))),
        Fault("the architecture 'mamba' (at byte", set("general.architecture", string("mamba"))),
        Fault("a GGUF file of the type 'adapter'", set("general.type", string("adapter"))),
        Fault("'general.quantization_version' (at byte", set("general.quantization_version", count(1))),
        Fault("its 'general.alignment' is 0", set("general.alignment", count(0))),
        Fault("its 'general.alignment' is 33", set("general.alignment", count(33))),
        Fault("which is no multiple of 32") { $0.offsets[2] = 8 },
        Fault("overlap at byte") { $0.offsets[2] = 0 },
        Fault("is cut short: the tensor 'output_norm.weight' begins at 1152921504606846976") {
            $0.offsets[1] = 1 << 60
        },
        Fault("is cut short: the tensor 'blk.0.ffn_norm.weight' ends at byte") { $0.tensors[13].data.removeLast(4) },
        Fault("it has the tensor 'output_norm.weight' twice") { $0.tensors[2].name = "output_norm.weight" },
        Fault("has 9 extents") { $0.tensors[1].shape = [Int](repeating: 1, count: 9) },
        Fault("which the file cannot hold") { $0.tensors[1].shape = [1 << 60] },
        Fault("which the file cannot hold") { $0.tensors[1].shape = [1 << 31, 1 << 31] },
        Fault("which the file cannot hold") { $0.tensors[1].shape = [0] },
        Fault("rows of 31, which are no whole blocks of 32") { $0.tensors[2].shape = [32, 31] },
        Fault("the tensor 'blk.0.attn_q.weight', which is IQ2_XS") { $0.tensors[2].storage = 17 },
        Fault("which is of the unknown type 99") { $0.tensors[2].storage = 99 },
        Fault("has no tensor 'token_embd.weight'") { $0.tensors[0].name = "token.weight" },
        Fault("'tokenizer.ggml.model' (at byte", set("tokenizer.ggml.model", string("t5"))),
        Fault("'tokenizer.ggml.pre' (at byte", set("tokenizer.ggml.pre", string("deepseek-llm"))),
        Fault("a tokenizer without the key 'tokenizer.ggml.pre'") {
            $0.keys.removeAll { $0.name == "tokenizer.ggml.pre" }
        },
        Fault("a tokenizer without the key 'tokenizer.ggml.merges'") {
            $0.keys.removeAll { $0.name == "tokenizer.ggml.merges" }
        },
        Fault("'tokenizer.ggml.tokens' (at byte", set("tokenizer.ggml.tokens", strings(["a", "b", "a"]))),
        Fault("does not say of each of 264 tokens", set("tokenizer.ggml.token_type", integers([1, 1]))),
        Fault("and no token of 264", set("tokenizer.ggml.eos_token_id", count(264))),
        Fault("names tokens outside the vocabulary", set("tokenizer.ggml.merges", strings(["a zz"]))),
        Fault("'tokenizer.chat_template' (at byte", set("tokenizer.chat_template", count(1))),
        Fault("'split.count'", set("split.count", (2, GGUFBytes.little(UInt16(3))))),
    ]

    /// A list in a list in a list.
    private static func nested(_ depth: Int) -> Data {
        (0..<depth).reduce(GGUFBytes.little(UInt32(0)) + GGUFBytes.little(UInt64(0))) { inner, _ in
            GGUFBytes.little(UInt32(9)) + GGUFBytes.little(UInt64(1)) + inner
        }
    }

    @Test("a file that is whole is read")
    func whole() throws {
        let folder = try ScratchFolder()
        try Self.read(Self.model().data, in: folder.url)
        var second = Self.model()
        second.version = 2
        try Self.read(second.data, in: folder.url)
    }

    @Test("each fault is told with the file, and the key or tensor", arguments: faults)
    func fault(fault: Fault) throws {
        let folder = try ScratchFolder()
        var file = Self.model()
        fault.spoil(&file)
        let (data, place) = (file.data, folder.url)
        let error = #expect(throws: (any Error).self) { try Self.read(data, in: place) }
        let text = "\(try #require(error))"
        #expect(text.contains(fault.message), "\(text)")
        #expect(text.contains("m.gguf"))
    }

    @Test("a file that is cut anywhere is refused")
    func cut() throws {
        let folder = try ScratchFolder()
        let (whole, place) = (Self.model().data, folder.url)
        for length in stride(from: 0, to: whole.count - 1, by: 397) {
            #expect(throws: CheckpointError.self) { try Self.read(whole.prefix(length), in: place) }
        }
    }

    @Test("tensors that fit no part of the network, or have another shape, are refused by ggml's name")
    func tensors() throws {
        let folder = try ScratchFolder()
        let url = folder.url.appendingPathComponent("m.gguf")
        for (name, shape, message) in [
            ("blk.0.ffn_gate_exps.weight", [32, 32], "'blk.0.ffn_gate_exps.weight', which fits no part"),
            ("rope_factors_long.weight", [8], "'rope_factors_long.weight', which fits no part"),
        ] {
            var file = Self.model()
            file.tensors.append((name, shape, 0, Data(count: shape.reduce(4, *))))
            try file.data.write(to: url)
            let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: url).network() }
            #expect("\(try #require(error))".contains(message))
        }
        var file = Self.model()
        file.tensors[2].shape = [16, 64]
        try file.data.write(to: url)
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(folder: url).network() }
        #expect("\(try #require(error))".contains("'blk.0.attn_q.weight' has the shape [16, 64]"))
        file = Self.model()
        file.tensors.removeAll { $0.name == "blk.0.attn_q.bias" }
        try file.data.write(to: url)
        let missing = #expect(throws: CheckpointError.self) { try Checkpoint(folder: url).network() }
        #expect("\(try #require(missing))".contains("has no tensor 'blk.0.attn_q.bias'"))
    }

    @Test("three hundred random damages are answered with a value or an error")
    func fuzz() throws {
        let folder = try ScratchFolder()
        var generator = SeededGenerator(seed: 18)
        let whole = [UInt8](Self.model().data)
        var refused = 0
        for _ in 0..<300 {
            var bytes = whole
            for _ in 0...Int.random(in: 0..<4, using: &generator) {
                let place = Int.random(in: 0..<min(bytes.count, 5000), using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 1: bytes[place] = [0, 0xFF, 0x80, 0x7F][Int.random(in: 0..<4, using: &generator)]
                case 2: for offset in place..<min(place + 8, bytes.count) { bytes[offset] = 0xFF }
                default: bytes.removeSubrange(place..<min(place + 5, bytes.count))
                }
            }
            do { try Self.read(Data(bytes), in: folder.url) } catch { refused += 1 }
        }
        #expect(refused > 100)
    }
}
