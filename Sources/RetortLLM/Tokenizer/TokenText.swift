import RetortCore

/// Turns the text of tokens into ordinary text: the `decoder` of `tokenizer.json`.
struct TokenText: Sendable {
    private enum Kind: Sendable {
        /// GPT-2's byte characters.
        case byteLevel
        /// SentencePiece's pieces: blanks are visible characters, and single bytes have tokens.
        case pieces(blank: [UInt8], fallsBackToBytes: Bool)
        /// BERT's: words are separated, continuations joined, and blanks before marks removed.
        case wordPiece(prefix: [UInt8], cleansUp: Bool)
        /// No decoder: tokens are separated.
        case separated
        case plain
    }

    private let kind: Kind
    /// The number of leading spaces that are dropped.
    let dropsLeadingSpaces: Int

    init(_ tree: JSONTree?, file: String) throws {
        var kind = tree == nil ? Kind.separated : .plain
        var dropped = 0
        var isFused = false
        let parts = tree?["decoders"]?.array ?? [tree].compactMap(\.self).filter { !$0.isNull }
        var blank: [UInt8] = []
        var fallsBack = false
        for part in parts {
            switch part["type"]?.string ?? "?" {
            case "ByteLevel": kind = .byteLevel
            case "Metaspace":
                blank = part["replacement"]?.bytes ?? Array("▁".utf8)
                let never = part["prepend_scheme"]?.string == "never" || part["add_prefix_space"]?.bool == false
                dropped = never ? 0 : 1
            case "Replace" where part["content"]?.string == " " && blank.isEmpty:
                blank = part["pattern"]?["String"]?.bytes ?? []
            case "ByteFallback": fallsBack = true
            case "Fuse": isFused = true
            // Before the tokens are joined, it would strip each of them.
            case "Strip" where isFused && part["content"]?.string == " " && (part["stop"]?.id ?? 0) == 0:
                dropped = part["start"]?.id.map(Int.init) ?? 0
            case "WordPiece":
                kind = .wordPiece(
                    prefix: part["prefix"]?.bytes ?? Array("##".utf8), cleansUp: part["cleanup"]?.bool ?? true)
            case let type: throw TokenizerError.unsupported(file: file, "the decoder \(type)")
            }
        }
        if !blank.isEmpty || fallsBack { kind = .pieces(blank: blank, fallsBackToBytes: fallsBack) }
        self.kind = kind
        dropsLeadingSpaces = dropped
    }

    /// The bytes that a token stands for, possibly part of a character.
    func bytes(of token: [UInt8]) -> [UInt8] {
        switch kind {
        case .plain: return token
        case .byteLevel: return ByteLevel.decode(token) ?? token
        case .pieces(let blank, let fallsBack):
            if fallsBack, let byte = ByteFallback.byte(of: token) { return [byte] }
            return blank.isEmpty ? token : token.replacing(blank, with: [0x20])
        case .separated: return [0x20] + token
        case .wordPiece(let prefix, let cleansUp):
            guard !token.starts(with: prefix) else { return Array(token.dropFirst(prefix.count)) }
            return cleansUp && Self.closeMarks.contains(token) ? token : [0x20] + token
        }
    }

    /// What stands close to the word before it.
    private static let closeMarks = Set(
        [".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"].map { Array($0.utf8) })

    /// The number of leading spaces that decoding adds, as for WordPiece's first word.
    var leadingSpaces: Int {
        switch kind {
        case .wordPiece, .separated: 1
        default: dropsLeadingSpaces
        }
    }
}
