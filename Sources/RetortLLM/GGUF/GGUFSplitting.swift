import RetortCore

/// How a byte-level vocabulary's words are split, by llama.cpp's names for it (`tokenizer.ggml.pre`, `src/llama-vocab.cpp`).
/// The patterns are the tokenizers' own, of which llama.cpp has its translations.
enum GGUFSplitting: CaseIterable {
    /// GPT-2's pattern.
    case gpt2
    /// The same behind numbers, of which every digit stands alone.
    case digits
    /// Qwen2's: letters, single digits, symbols.
    case singles
    /// Llama 3's: up to three digits; words that are tokens are taken whole.
    case triples
    /// The same, and all words are merged.
    case mergedTriples
    /// The same as Llama 3's, where no token opens a text.
    case unopenedTriples
    /// GPT-4o's: letters are told apart by case.
    case gpt4o
    /// Mistral's: the same without contractions and with single digits.
    case tekken

    /// The first one is written.
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

    /// Whether a word that is a token is not merged.
    var takesWholeWords: Bool { self == .triples || self == .unopenedTriples || self == .tekken }

    /// Whether a token opens every text, where the file does not say.
    var opensTexts: Bool { self == .triples || self == .tekken }

    /// The pattern that words fit, where it is not GPT-2's.
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
