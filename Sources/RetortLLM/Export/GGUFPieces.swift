import RetortCore

/// A SentencePiece vocabulary in the form that llama.cpp's `llama` tokenizer reads: a score for each token instead of
/// a list of merges. Any two neighbours whose joined text is a token are merged, best score first, and among equals
/// the leftmost; characters outside the vocabulary become bytes.
struct GGUFPieces {
    /// The character that vocabularies use for a space.
    static let blank = Array("▁".utf8)

    /// Where a space is put before text.
    private enum Prefix {
        case never
        /// At the start, and after every added token, as in llama.cpp.
        case always
        /// Only at the start.
        case first
    }

    private let prefix: Prefix
    private let definition: TokenizerDefinition

    /// - Throws: `CheckpointError.unsupported` for a tokenizer that this form cannot express.
    init(_ definition: TokenizerDefinition) throws {
        self.definition = definition
        prefix = try Self.prefix(definition)
        if prefix == .always, let token = definition.addedTokens.first(where: { $0.normalized && $0.name != "<unk>" }) {
            throw definition.refused("the added token '\(token.name)', which is looked for behind a blank")
        }
        for byte in UInt8.min...UInt8.max
        where definition.ids[Array(ByteFallback.token(for: byte).utf8)] ?? definition.ids[[byte]] == nil {
            throw definition.refused("a vocabulary without \(ByteFallback.token(for: byte))")
        }
        guard definition.tree["model"]?["byte_fallback"]?.bool == true else {
            throw definition.refused("a tokenizer that does not fall back to bytes")
        }
    }

    private static func prefix(_ definition: TokenizerDefinition) throws -> Prefix {
        var (prefix, escapes) = (Prefix.never, false)
        let steps =
            definition.steps(of: "normalizer", "normalizers") + definition.steps(of: "pre_tokenizer", "pretokenizers")
        for step in steps {
            switch step["type"]?.string ?? "?" {
            case "Prepend" where step["prepend"]?.bytes == blank: prefix = .always
            case "Replace" where step["pattern"]?["String"]?.string == " " && step["content"]?.bytes == blank:
                escapes = true
            case "Metaspace" where step["split"]?.bool == false && step["replacement"]?.bytes == blank:
                escapes = true
                let scheme =
                    step["prepend_scheme"]?.string ?? (step["add_prefix_space"]?.bool == false ? "never" : "always")
                guard scheme != "always" else {
                    throw definition.refused("text that gets a blank before it unless it has one")
                }
                prefix = scheme == "first" ? .first : .never
            // After escaping, no space is left to split at.
            case "Split" where step["pattern"]?["String"]?.string == " " && escapes: break
            case let type: throw definition.refused("the text preparation '\(type)'")
            }
        }
        guard escapes else { throw definition.refused("a tokenizer that is neither byte-level nor SentencePiece's") }
        return prefix
    }

    var metadata: GGUFWriter.Metadata {
        [
            ("tokenizer.ggml.model", .string("llama")), ("tokenizer.ggml.pre", .string("default")),
            ("tokenizer.ggml.add_space_prefix", .bool(prefix == .always)),
        ]
    }

    var remarks: [String] {
        prefix == .first
            ? ["text that does not begin with a special token, as chats do, gets no blank before it from llama.cpp"]
            : []
    }

    /// Two texts that are merged.
    private struct Pair: Hashable {
        let left: [UInt8]
        let right: [UInt8]
    }

    /// Scores that make merging by score do what the list of merges does: tokens that are merged earlier get better
    /// scores.
    /// - Throws: `CheckpointError.unsupported` when no scores can do that.
    func scores(
        of tokens: [[UInt8]], _ kinds: [GGUFVocabulary.Kind], _ remarks: inout [String]
    ) throws -> [Float] {
        if let pieces = definition.pieces {
            return pieces.scores + [Float](repeating: -Float(tokens.count), count: tokens.count - pieces.scores.count)
        }
        // Added tokens are cut out before merging.
        let ids = Dictionary(
            uniqueKeysWithValues: tokens.indices.filter { kinds[$0] == .normal }.map { (tokens[$0], $0) })
        var pairs: Set<Pair> = []
        var ranks: [Int: Int] = [:]
        var last: Int?
        for (left, right) in try definition.merges() {
            guard let whole = ids[left + right], ids[left] != nil, ids[right] != nil else { continue }
            pairs.insert(Pair(left: left, right: right))
            defer { last = whole }
            guard whole != last else { continue }
            guard ranks.updateValue(ranks.count, forKey: whole) == nil else {
                throw definition.refused(
                    "merges that make '\(String(decoding: left + right, as: UTF8.self))' at two ranks")
            }
        }
        let unmade = try ids.values.sorted().filter { try !isMade($0, tokens[$0], by: pairs, ids, ranks) }
        if !unmade.isEmpty {
            remarks.append(
                "llama.cpp merges parts into tokens that the merge list never makes (\(unmade.count) of them)")
        }
        let worst = -Float(tokens.count)
        return tokens.indices.map { ranks[$0].map { -Float($0) } ?? worst }
    }

    /// Whether the list merges a token from every pair of tokens that it can be cut into, as llama.cpp would.
    /// - Returns: false when the list never merges the token at all.
    private func isMade(
        _ id: Int, _ token: [UInt8], by pairs: Set<Pair>, _ ids: [[UInt8]: Int], _ ranks: [Int: Int]
    ) throws -> Bool {
        for cut in token.indices.dropFirst() where token[cut] & 0xC0 != 0x80 {
            let pair = Pair(left: Array(token[..<cut]), right: Array(token[cut...]))
            guard ids[pair.left] != nil, ids[pair.right] != nil, !pairs.contains(pair) else { continue }
            guard ranks[id] != nil else { return false }
            let texts = [pair.left, pair.right].map { "'\(String(decoding: $0, as: UTF8.self))'" }
            throw definition.refused("a merge list without \(texts[0]) and \(texts[1]), which llama.cpp merges")
        }
        return true
    }
}
