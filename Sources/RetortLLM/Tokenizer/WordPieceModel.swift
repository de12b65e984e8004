import RetortCore

/// WordPiece: the longest token at the beginning of a word, then the longest continuation, and so on (BERT, arXiv
/// 1810.04805). A word that cannot be covered becomes one unknown token.
struct WordPieceModel: Sendable {
    private let ids: [[UInt8]: Int32]
    private let prefix: [UInt8]
    private let unknown: Int32
    private let longestWord: Int

    init(_ model: JSONTree, ids: [[UInt8]: Int32], file: String) throws {
        self.ids = ids
        prefix = model["continuing_subword_prefix"]?.bytes ?? Array("##".utf8)
        let name = model["unk_token"]?.bytes ?? Array("[UNK]".utf8)
        guard let unknown = ids[name] else {
            throw TokenizerError.malformed(file: file, "the unknown token is not in the vocabulary")
        }
        self.unknown = unknown
        longestWord = model["max_input_chars_per_word"]?.id.map(Int.init) ?? 100
    }

    /// The tokens of a word.
    func tokens(of word: [UInt8]) -> [Int32] {
        let starts = word.indices.filter { word[$0] & 0xC0 != 0x80 } + [word.count]
        guard starts.count - 1 <= longestWord else { return [unknown] }
        var tokens: [Int32] = []
        var first = 0
        while first < starts.count - 1 {
            let found = (first + 1..<starts.count).reversed().lazy.compactMap { last -> (Int, Int32)? in
                let piece = (first == 0 ? [] : prefix) + word[starts[first]..<starts[last]]
                return ids[piece].map { (last, $0) }
            }.first
            guard let (last, id) = found else { return [unknown] }
            tokens.append(id)
            first = last
        }
        return tokens
    }
}
