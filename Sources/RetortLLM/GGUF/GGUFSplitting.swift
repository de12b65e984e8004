import RetortCore

/// How the words of a byte-level vocabulary are split, by llama.cpp's names (`tokenizer.ggml.pre`,
/// `src/llama-vocab.cpp`). The patterns are those of the original tokenizers, which llama.cpp has translated.
enum GGUFSplitting: CaseIterable {
    /// GPT-2's pattern.
    case gpt2
    /// GPT-2's pattern after a split at digits, each of which stands alone.
    case digits
    /// Qwen2's: letters, single digits, symbols.
    case singles
    /// Llama 3's: up to three digits; words that are tokens are not split further.
    case triples
    /// The same, but all words are merged.
    case mergedTriples
    /// Llama 3's, without a token at the beginning of texts.
    case unopenedTriples
    /// GPT-4o's, which distinguishes upper and lower case.
    case gpt4o
    /// Mistral's: the same, without contractions and with single digits.
    case tekken

    /// llama.cpp's names; the first one is written to files.
    var names: [String] {
        switch self {
        case .gpt2: ["gpt-2", "phi-2", "olmo", "gigachat", "mellum", "a.x-4.0"]
        case .digits: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"]
        case .singles: ["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez"]
        case .triples: ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"]
        case .mergedTriples: ["dbrx", "smaug-bpe", "chatglm-bpe"]
        case .unopenedTriples: ["glm4"]
        case .gpt4o: ["gpt-4o", "llama4", "kanana2"]
        case .tekken: ["tekken"]
        }
    }

    static func named(_ name: String) -> GGUFSplitting? { allCases.first { $0.names.contains(name) } }

    static let allNames = allCases.flatMap(\.names).sorted()

    /// Whether a word that is a token is taken whole instead of being merged.
    var takesWholeWords: Bool { self == .triples || self == .unopenedTriples || self == .tekken }

    /// Whether a token begins every text, if the file does not say.
    var opensTexts: Bool { self == .triples || self == .tekken }

    /// The pattern of words; nil for GPT-2's.
    var pattern: String? {
        switch self {
        case .gpt2, .digits: nil
        case .singles: Self.grouped(#"\p{N}"#)
        case .triples, .mergedTriples, .unopenedTriples: Self.grouped(#"\p{N}{1,3}"#)
        case .gpt4o: Self.cased(#"\p{N}{1,3}"#, ends: "(?i:'s|'t|'re|'ve|'m|'ll|'d)?")
        case .tekken: Self.cased(#"\p{N}"#, ends: "")
        }
    }

    private static func grouped(_ numbers: String) -> String {
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + numbers
            + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    private static func cased(_ numbers: String, ends: String) -> String {
        let (upper, lower) = (#"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#, #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#)
        let head = #"[^\r\n\p{L}\p{N}]?"#
        return "\(head)\(upper)*\(lower)+\(ends)|\(head)\(upper)+\(lower)*\(ends)|\(numbers)"
            + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// The `pre_tokenizer` of a `tokenizer.json`.
    var tree: JSONTree {
        func bytes(splits: Bool) -> JSONTree {
            .members([
                "type": .text("ByteLevel"), "add_prefix_space": .bool(false), "trim_offsets": .bool(true),
                "use_regex": .bool(splits),
            ])
        }
        func sequence(_ first: JSONTree, _ second: JSONTree) -> JSONTree {
            .members(["type": .text("Sequence"), "pretokenizers": .array([first, second])])
        }
        if let pattern {
            let split = JSONTree.members([
                "type": .text("Split"), "pattern": .members(["Regex": .text(pattern)]), "behavior": .text("Isolated"),
                "invert": .bool(false),
            ])
            return sequence(split, bytes(splits: false))
        }
        guard self == .digits else { return bytes(splits: true) }
        return sequence(.members(["type": .text("Digits"), "individual_digits": .bool(true)]), bytes(splits: true))
    }
}
