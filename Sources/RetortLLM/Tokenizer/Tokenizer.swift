import Foundation

/// A tokenizer, read from Hugging Face's `tokenizer.json` (the format of the `tokenizers` library).
///
/// Text is cut at added tokens, normalised and split into words by the pre-tokenizer; each word then becomes tokens
/// of the model: byte-level BPE (GPT-2, Qwen, Llama 3), SentencePiece's BPE with byte fallback (Llama 2, Gemma) by
/// merges or by scores, SentencePiece's unigram model, or WordPiece.
public final class Tokenizer: Sendable {
    /// What happens to the text of a special token in the input.
    public enum SpecialTokens: Sendable {
        /// It becomes the special token: for templates.
        case recognised
        /// It is ordinary text: for everything a user, a tool or a model wrote.
        case asText
    }

    /// Whether every id stands for the same text in both tokenizers.
    public func hasSameTokens(as other: Tokenizer) -> Bool {
        texts == other.texts && added.mapValues(\.content) == other.added.mapValues(\.content)
    }

    private enum Model: Sendable {
        case bytePairs(BytePairModel)
        case pieces(PieceModel)
        case wordPiece(WordPieceModel)
        case unigram(UnigramModel)
    }

    private let ids: [[UInt8]: Int32]
    private let texts: [Int32: [UInt8]]
    private let added: [Int32: AddedToken]
    /// Added tokens that are matched in the original text, and in normalised text.
    private let rawAdded: AddedTokens
    private let normalizedAdded: AddedTokens
    private let normalizer: TextNormalizer?
    private let preTokenizer: PreTokenizer
    private let model: Model
    private let text: TokenText

    /// The tokens that the format puts before a text, such as `<s>`; chat templates write their own.
    public let opening: [Int32]
    /// The tokens that the format puts after a text, such as `[SEP]`.
    public let closing: [Int32]

    /// Reads `tokenizer.json`, a folder that contains one and may declare more tokens in other files, or a GGUF file.
    /// - Throws: `TokenizerError` that names the file and the part that cannot be used.
    public convenience init(_ location: URL) throws {
        let isDefinition = location.pathExtension == "json"
        try self.init(
            isDefinition ? TokenizerDefinition(location) : CheckpointSource(location).tokenizerDefinition())
    }

    init(_ definition: TokenizerDefinition) throws {
        let file = definition.file
        ids = definition.ids
        added = Dictionary(definition.addedTokens.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
        let normalizer = try definition.part("normalizer").map { try TextNormalizer($0, file: file) }
        self.normalizer = normalizer
        // Without a normalizer, special tokens are matched in the original text, where each character's source is known.
        let isRaw = { (token: AddedToken) in !token.normalized || (normalizer == nil && token.special) }
        let normalized = definition.addedTokens.filter { !isRaw($0) }.map { token in
            let text = String(decoding: token.content, as: UTF8.self)
            return token.with(content: Array((normalizer?(text, continuing: false) ?? text).utf8))
        }
        rawAdded = AddedTokens(definition.addedTokens.filter(isRaw))
        normalizedAdded = AddedTokens(normalized)
        texts = Dictionary(ids.map { ($1, $0) }, uniquingKeysWith: { $0.lexicographicallyPrecedes($1) ? $0 : $1 })
            .merging(normalized.map { ($0.id, $0.content) }) { $1 }
        preTokenizer = try PreTokenizer(definition.part("pre_tokenizer"), file: file)
        text = try TokenText(definition.part("decoder"), file: file)
        model = try Self.model(definition)
        (opening, closing) = try definition.frame()
    }

    private static func model(_ definition: TokenizerDefinition) throws -> Model {
        if let pieces = definition.pieces { return .pieces(pieces) }
        let tree = definition.tree["model"] ?? .null
        // Old files do not name the model; one with merges is BPE.
        switch tree["type"]?.string
            ?? (tree["vocab"]?.array != nil
                ? "Unigram" : tree["continuing_subword_prefix"] != nil && tree["merges"] == nil ? "WordPiece" : "BPE")
        {
        case "BPE": return .bytePairs(try BytePairModel(tree, ids: definition.ids, file: definition.file))
        case "WordPiece": return .wordPiece(try WordPieceModel(tree, ids: definition.ids, file: definition.file))
        case "Unigram": return .unigram(try UnigramModel(tree, ids: definition.ids, file: definition.file))
        case let type: throw TokenizerError.unsupported(file: definition.file, "the model type \(type)")
        }
    }

    /// The number of ids: one more than the largest.
    public var vocabularySize: Int { Int(texts.keys.max() ?? -1) + 1 }

    /// The id of a token with exactly this text, special tokens included; nil when there is none.
    public func id(of token: String) -> Int32? { ids[Array(token.utf8)] }

    /// A token's text exactly as the vocabulary writes it; nil for an unknown id.
    public func token(_ id: Int32) -> String? { texts[id].map { String(decoding: $0, as: UTF8.self) } }

    /// Whether a token is special, such as an end of text or a turn marker.
    public func isSpecial(_ id: Int32) -> Bool { added[id]?.special ?? false }

    /// What precedes a text that is encoded.
    enum Start: Equatable {
        /// Nothing: this is the beginning.
        case text
        /// An added token, which may include the blanks that follow it.
        case token(takesBlanks: Bool)
        /// Earlier parts of the same text.
        case middle
    }

    /// The tokens of a text, without `opening` and `closing`.
    /// - Parameter continuing: whether the text continues earlier text, so that formats that put a blank before the
    ///   beginning of a text do not do so.
    public func encode(_ text: String, specials: SpecialTokens, continuing: Bool = false) -> [Int32] {
        encode(text, specials: specials, after: continuing ? .middle : .text)
    }

    func encode(_ text: String, specials: SpecialTokens, after start: Start) -> [Int32] {
        // Added tokens that are not special always count; special ones only if requested.
        let accepts = { (token: AddedToken, _: Range<Int>) in !token.special || specials == .recognised }
        let bytes = Array(text.utf8.dropFirst(AddedTokens.blanks(of: text, after: start)))
        var tokens: [Int32] = []
        forEachGap(in: bytes, between: rawAdded, where: accepts, into: &tokens) { gap, tokens in
            let start = gap.lowerBound > 0 ? Start.token(takesBlanks: false) : start
            encode(gap: bytes[gap], after: start, where: accepts, into: &tokens)
        }
        return tokens
    }

    /// A part of marked text: a single added token, or plain text between added tokens.
    struct Run {
        /// The place of its characters in the text.
        let range: Range<Int>
        let tokens: [Int32]
        /// What a text behind it follows.
        let end: Start
    }

    /// The tokens of marked text; special tokens are recognised only where all their characters are the template's.
    /// - Parameter start: what precedes the text.
    func runs(of text: MarkedText, after start: Start) -> [Run] {
        var bytes: [UInt8] = []
        var characters: [Int] = []
        for (index, scalar) in text.scalars.enumerated() {
            for byte in String(scalar).utf8 {
                bytes.append(byte)
                characters.append(index)
            }
        }
        let accepts = { (token: AddedToken, range: Range<Int>) in
            !token.special || range.allSatisfy { text.sources[characters[$0]] == MarkedText.template }
        }
        var runs: [Run] = []
        let blanks = AddedTokens.blanks(of: text.string, after: start)
        var position = blanks
        func plain(upTo end: Int) {
            guard end > position else { return }
            var tokens: [Int32] = []
            let start = position > blanks ? Start.token(takesBlanks: false) : start
            // In normalised text the source of a character is unknown, so special tokens are not matched there.
            encode(gap: bytes[position..<end], after: start, where: { token, _ in !token.special }, into: &tokens)
            runs.append(Run(range: characters[position]..<characters[end - 1] + 1, tokens: tokens, end: .middle))
        }
        for match in rawAdded.matches(in: bytes, where: accepts) {
            plain(upTo: match.range.lowerBound)
            runs.append(
                Run(
                    range: characters[match.range.lowerBound]..<characters[match.range.upperBound - 1] + 1,
                    tokens: [match.token.id], end: .token(takesBlanks: match.token.stripsRight)))
            position = match.range.upperBound
        }
        plain(upTo: bytes.count)
        return runs
    }

    /// Adds the tokens of the text between added tokens.
    private func encode(
        gap: ArraySlice<UInt8>, after start: Start, where accepts: (AddedToken, Range<Int>) -> Bool,
        into tokens: inout [Int32]
    ) {
        let plain = String(decoding: gap, as: UTF8.self)
        let normal = normalizer?(plain, continuing: start == .middle) ?? plain
        guard !normalizedAdded.isEmpty else { return words(of: normal, after: start, into: &tokens) }
        let bytes = Array(normal.utf8)
        forEachGap(in: bytes, between: normalizedAdded, where: accepts, into: &tokens) { part, tokens in
            words(
                of: String(decoding: bytes[part], as: UTF8.self),
                after: part.lowerBound == 0 ? start : .token(takesBlanks: false), into: &tokens)
        }
    }

    /// Calls `body` with the text between added tokens, and adds these tokens in between.
    private func forEachGap(
        in text: [UInt8], between added: AddedTokens, where accepts: (AddedToken, Range<Int>) -> Bool,
        into tokens: inout [Int32], _ body: (Range<Int>, inout [Int32]) -> Void
    ) {
        var position = 0
        for match in added.matches(in: text, where: accepts) {
            if match.range.lowerBound > position { body(position..<match.range.lowerBound, &tokens) }
            tokens.append(match.token.id)
            position = match.range.upperBound
        }
        if position < text.count { body(position..<text.count, &tokens) }
    }

    private func words(of text: String, after start: Start, into tokens: inout [Int32]) {
        preTokenizer.forEachWord(of: text, after: start) { word in
            switch model {
            case .bytePairs(let model):
                tokens += model.tokens(of: preTokenizer.isByteLevel ? ByteLevel.encode(word.utf8) : Array(word.utf8))
            case .pieces(let model): tokens += model.tokens(of: Array(word.utf8))
            case .wordPiece(let model): tokens += model.tokens(of: Array(word.utf8))
            case .unigram(let model): tokens += model.tokens(of: Array(word.utf8))
            }
        }
    }

    /// The text of tokens. Invalid UTF-8 becomes U+FFFD.
    /// - Parameter specials: whether special tokens appear in the text.
    public func decode(_ ids: [Int32], specials: SpecialTokenText = .kept) -> String {
        var decoder = StreamDecoder(self, specials: specials)
        return ids.map { decoder.push($0) }.joined() + decoder.finish()
    }

    /// Whether special tokens appear in decoded text.
    public enum SpecialTokenText: Sendable { case kept, skipped }

    func bytes(of id: Int32, specials: SpecialTokenText) -> [UInt8] {
        if specials == .skipped, isSpecial(id) { return [] }
        return texts[id].map(text.bytes) ?? []
    }

    var leadingSpaces: Int { text.leadingSpaces }
}

extension AddedToken {
    fileprivate func with(content: [UInt8]) -> AddedToken {
        AddedToken(
            id: id, content: content, special: special, normalized: normalized, stripsLeft: stripsLeft,
            stripsRight: stripsRight, singleWord: singleWord)
    }
}
