import Foundation
import RetortCore

/// A checkpoint's vocabulary in llama.cpp's form (`src/llama-vocab.cpp`).
struct GGUFVocabulary {
    let metadata: GGUFWriter.Metadata
    /// Differences in llama.cpp's behaviour.
    let remarks: [String]
    /// Whether the model's name has to tell llama.cpp that blanks after special tokens are dropped.
    private let isNamedPhi3: Bool

    enum Kind: Int32 { case normal = 1, unknown = 2, control = 3, userDefined = 4, unused = 5, byte = 6 }

    /// - Parameter size: the number of rows of the embedding; ids beyond the tokenizer's are filled up.
    init(_ checkpoint: Checkpoint, size: Int) throws {
        let definition = try checkpoint.folders.tokenizer.tokenizerDefinition()
        if let token = definition.addedTokens.first(where: \.singleWord) {
            throw definition.refused("the added token '\(token.name)', which counts as a whole word only")
        }
        let isByteLevel = try PreTokenizer(definition.part("pre_tokenizer"), file: definition.file).isByteLevel
        let pieces = isByteLevel ? nil : try GGUFPieces(definition)
        let (tokens, kinds) = try Self.tokens(definition, size: size, blank: pieces == nil ? nil : GGUFPieces.blank)
        var metadata: GGUFWriter.Metadata = [
            ("tokenizer.ggml.tokens", .strings(tokens)),
            ("tokenizer.ggml.token_type", .integers(kinds.map(\.rawValue))),
        ]
        var remarks: [String] = []
        if let pieces {
            let scores = try pieces.scores(of: tokens, kinds, &remarks)
            metadata += pieces.metadata + [("tokenizer.ggml.scores", .floats(scores))]
        } else {
            metadata += try Self.byteLevel(definition, &remarks)
        }
        metadata += try Self.specials(definition, checkpoint)
        for (name, source) in try checkpoint.folders.template()?.texts.sorted(by: { $0.key < $1.key }) ?? [] {
            let suffix = name == TemplateFiles.usual ? "" : ".\(name)"
            metadata.append(("tokenizer.chat_template\(suffix)", .string(source)))
        }
        self.metadata = metadata
        isNamedPhi3 = Self.stripsAsPhi3(definition, &remarks)
        self.remarks = remarks + (pieces?.remarks ?? [])
    }

    /// The text of an id beyond the vocabulary.
    static func filler(_ id: Int) -> [UInt8] { Array("[PAD\(id)]".utf8) }

    /// The texts and kinds of all ids. Two ids with the same text would make llama.cpp fail.
    private static func tokens(
        _ definition: TokenizerDefinition, size: Int, blank: [UInt8]?
    ) throws -> (tokens: [[UInt8]], kinds: [Kind]) {
        var tokens = (0..<size).map(filler)
        var kinds = [Kind](repeating: .unused, count: size)
        for (token, id) in definition.ids where Int(id) < size {
            tokens[Int(id)] = token
            kinds[Int(id)] = blank != nil && ByteFallback.byte(of: token) != nil ? .byte : .normal
        }
        for token in definition.addedTokens where Int(token.id) < size {
            // llama.cpp looks for these in the unnormalised text.
            tokens[Int(token.id)] =
                token.special ? token.content : blank.map { token.content.replacing($0, with: [0x20]) } ?? token.content
            kinds[Int(token.id)] = token.special ? .control : .userDefined
        }
        if let unknown = definition.unknown, Int(unknown) < size { kinds[Int(unknown)] = .unknown }
        var known: [[UInt8]: Int] = [:]
        for (id, token) in tokens.enumerated() {
            if let other = known.updateValue(id, forKey: token) {
                let text = String(decoding: token, as: UTF8.self)
                throw definition.refused("the text '\(text)', which is both token \(other) and token \(id)")
            }
        }
        return (tokens, kinds)
    }

    /// The tokens with a role in llama.cpp.
    private static func specials(
        _ definition: TokenizerDefinition, _ checkpoint: Checkpoint
    ) throws -> GGUFWriter.Metadata {
        let (opening, closing) = try definition.frame()
        guard closing.isEmpty, opening.count <= 1 else {
            throw definition.refused("a frame that is more than one token before every text")
        }
        let names = try TokenDeclarations(checkpoint.folders.tokenizer).named
        let ids: [(role: String, id: Int32?)] = [
            ("bos", opening.first ?? names["bos_token"].flatMap(checkpoint.tokenizer.id)),
            ("eos", checkpoint.template.endOfTurn), ("unknown", definition.unknown),
            ("padding", names["pad_token"].flatMap(checkpoint.tokenizer.id)),
        ]
        return ids.compactMap { role, id in
            id.map { ("tokenizer.ggml.\(role)_token_id", .unsigned(UInt32($0))) }
        } + [("tokenizer.ggml.add_bos_token", .bool(!opening.isEmpty)), ("tokenizer.ggml.add_eos_token", .bool(false))]
    }

    // MARK: Byte-level BPE

    private static func byteLevel(
        _ definition: TokenizerDefinition, _ remarks: inout [String]
    ) throws -> GGUFWriter.Metadata {
        for normalizer in definition.steps(of: "normalizer", "normalizers") {
            let type = normalizer["type"]?.string ?? "?"
            guard type == "NFC" else { throw definition.refused("the normalizer '\(type)'") }
            remarks.append("llama.cpp does not join letters and accents that text has apart (NFC)")
        }
        let splitting = try splitting(definition)
        // Under this name llama.cpp does not split words that are tokens.
        if definition.tree["model"]?["ignore_merges"]?.bool == true, !splitting.takesWholeWords {
            throw definition.refused("words that are taken whole before anything is merged, with this split pattern")
        }
        return [
            ("tokenizer.ggml.model", .string("gpt2")), ("tokenizer.ggml.pre", .string(splitting.names[0])),
            ("tokenizer.ggml.merges", .strings(try definition.merges().map { $0 + [0x20] + $1 })),
        ]
    }

    /// How words are split: by one pattern (GPT-2's if none is given), with or without separate digits.
    private static func splitting(_ definition: TokenizerDefinition) throws -> GGUFSplitting {
        var pattern: String?
        var partsDigits = false
        for step in definition.steps(of: "pre_tokenizer", "pretokenizers") {
            switch step["type"]?.string ?? "?" {
            case "ByteLevel":
                guard step["add_prefix_space"]?.bool == false else {
                    throw definition.refused("text that gets a blank before it unless it has one")
                }
                let splits = step["use_regex"]?.bool ?? true
                guard splits == (pattern == nil) else { throw definition.refused("words that are split twice, or not") }
            case "Digits" where step["individual_digits"]?.bool == true && pattern == nil: partsDigits = true
            case "Split" where pattern == nil && !partsDigits: pattern = step["pattern"]?["Regex"]?.string ?? ""
            case let type: throw definition.refused("the text preparation '\(type)'")
            }
        }
        guard let pattern else { return partsDigits ? .digits : .gpt2 }
        if let own = [GGUFSplitting.gpt4o, .tekken].first(where: { $0.pattern == pattern }) { return own }
        switch try WordSplitter(pattern, file: definition.file).digitGroup {
        case 1: return .singles
        case 3: return .triples
        default: throw definition.refused("this tokenizer's split pattern")
        }
    }

    // MARK: Blanks beside special tokens

    /// The model's name in the file. The name alone makes llama.cpp decide whether blanks after special tokens are
    /// dropped, and with such a name it fails if the vocabulary lacks the tokens that it then looks for.
    func model(named name: String) -> String {
        let claims = Self.claimsPhi3(name)
        if isNamedPhi3 { return claims ? name : "\(name) (Phi-3)" }
        guard claims else { return name }
        return ["phi-3", "phi3"].reduce(name) { name, phi in
            name.replacingOccurrences(of: phi, with: "Phi 3", options: .caseInsensitive)
        }
    }

    /// Whether llama.cpp takes a name for Phi-3's.
    static func claimsPhi3(_ name: String) -> Bool {
        name.lowercased().contains("phi-3") || name.lowercased().contains("phi3")
    }

    /// Under such a name, blanks are dropped after all added tokens except these.
    private static let keepingBlanks = ["<unk>", "<s>", "<|endoftext|>"]

    static func stripsAsPhi3(_ token: [UInt8]) -> Bool { !keepingBlanks.contains { Array($0.utf8) == token } }

    private static func stripsAsPhi3(_ definition: TokenizerDefinition, _ remarks: inout [String]) -> Bool {
        let added = definition.addedTokens
        let stripping = Set(added.filter(\.stripsRight).map(\.name))
        let asPhi3 = Set(added.map(\.name)).subtracting(keepingBlanks)
        let isPossible = (keepingBlanks + ["</s>"]).allSatisfy { definition.ids[Array($0.utf8)] != nil }
        let others = isPossible ? stripping.symmetricDifference(asPhi3) : stripping
        let isPhi3 = others.count < stripping.count
        let wrong = (isPhi3 ? others : stripping).union(added.filter(\.stripsLeft).map(\.name)).sorted()
        if !wrong.isEmpty {
            remarks.append(
                "llama.cpp treats blanks beside \(wrong.prefix(3).joined(separator: ", "))"
                    + "\(wrong.count > 3 ? " and \(wrong.count - 3) more" : "") otherwise than the tokenizer")
        }
        return isPhi3
    }
}

extension TokenizerDefinition {
    func refused(_ what: String) -> CheckpointError { .unsupported(file: file, "GGUF export of \(what)") }

    /// The token for characters that the vocabulary cannot express.
    fileprivate var unknown: Int32? { tree["model"]?["unk_token"]?.bytes.flatMap { ids[$0] } }

    /// The steps of a component, which may be a single step or a sequence.
    func steps(of name: String, _ list: String) -> [JSONTree] {
        guard let part = part(name) else { return [] }
        return part[list]?.array ?? [part]
    }

    /// The merges of BPE, best first.
    func merges() throws -> [([UInt8], [UInt8])] {
        if let pieces { return pieces.merges().map { ($0.left, $0.right) } }
        return try (tree["model"]?["merges"]?.array ?? []).map { try BytePairModel.halves(of: $0, file: file) }
    }
}

extension AddedToken {
    var name: String { String(decoding: content, as: UTF8.self) }
}
