import Foundation
import RetortCore

/// A byte-level BPE vocabulary as GGUF's metadata.
struct GGUFVocabulary {
    let metadata: [(key: String, value: GGUFWriter.Value)]

    private enum Kind: Int32 { case normal = 1, control = 3, userDefined = 4, unused = 5 }

    /// - Parameter size: how many rows the embedding has; ids beyond the tokenizer's are filled.
    init(_ checkpoint: Checkpoint, size: Int) throws {
        let definition = try TokenizerDefinition(checkpoint.folder.appendingPathComponent("tokenizer.json"))
        let file = definition.file
        guard let merges = definition.tree["model"]?["merges"]?.array,
            try PreTokenizer(definition.part("pre_tokenizer"), file: file).isByteLevel
        else { throw CheckpointError.unsupported(file: file, "GGUF export of a tokenizer that is no byte-level BPE") }
        var tokens = (0..<size).map { Array("[PAD\($0)]".utf8) }
        var kinds = [Int32](repeating: Kind.unused.rawValue, count: size)
        for (token, id) in definition.ids where Int(id) < size {
            tokens[Int(id)] = token
            kinds[Int(id)] = Kind.normal.rawValue
        }
        for token in definition.addedTokens where Int(token.id) < size {
            tokens[Int(token.id)] = token.content
            kinds[Int(token.id)] = (token.special ? Kind.control : .userDefined).rawValue
        }
        var metadata: [(key: String, value: GGUFWriter.Value)] = [
            ("tokenizer.ggml.model", .string("gpt2")),
            ("tokenizer.ggml.pre", .string(try Self.splitting(definition))),
            ("tokenizer.ggml.tokens", .strings(tokens)), ("tokenizer.ggml.token_type", .integers(kinds)),
            ("tokenizer.ggml.merges", .strings(merges.compactMap(Self.merge))),
            ("tokenizer.ggml.eos_token_id", .unsigned(UInt32(checkpoint.template.endOfTurn))),
            ("tokenizer.ggml.add_bos_token", .bool(false)),
        ]
        let folder = checkpoint.folder
        if let source = try JinjaTemplate.source(in: folder) {
            metadata.append(("tokenizer.chat_template", .string(source)))
        }
        self.metadata = metadata
    }

    /// `"a b"`.
    private static func merge(_ merge: JSONTree) -> [UInt8]? {
        merge.bytes ?? merge.array.map { Array($0.compactMap(\.bytes).joined(separator: [0x20])) }
    }

    /// llama.cpp's name for the way words are split.
    private static func splitting(_ definition: TokenizerDefinition) throws -> String {
        let steps =
            definition.part("pre_tokenizer")?["pretokenizers"]?.array ?? [definition.part("pre_tokenizer") ?? .null]
        let pattern = steps.compactMap { $0["pattern"]?["Regex"]?.string }.first
        switch try pattern.map({ try WordSplitter($0, file: definition.file) })?.digitGroup {
        case nil where pattern == nil: return "gpt-2"
        case 1: return "qwen2"
        case 3: return "llama-bpe"
        default:
            throw CheckpointError.unsupported(file: definition.file, "GGUF export of this tokenizer's split pattern")
        }
    }
}
