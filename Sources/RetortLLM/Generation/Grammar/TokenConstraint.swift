import RetortCore
import RetortTensor
import Synchronization

/// The tokens that may come next in a sample that must follow a grammar.
///
/// Tokens are judged by their bytes, so one token may contain several parts of the grammar, or a part of a character.
/// Special tokens are not allowed, except those that end the turn, once the text is complete.
struct TokenConstraint: Sendable {
    private let vocabulary: TokenTrie
    /// Nil for a grammar that allows no text at all: then the turn ends at once. `OutputGrammar.check` finds that out
    /// beforehand.
    private var matcher: GrammarMatcher?
    /// Leading blanks that the decoder will drop.
    private var excessBlanks: Int

    init(_ grammar: OutputGrammar, _ vocabulary: TokenTrie) {
        self.vocabulary = vocabulary
        matcher = (try? vocabulary.automaton(for: grammar)).map { GrammarMatcher($0) }
        excessBlanks = vocabulary.leadingBlanks
    }

    /// Whether only the end of the turn may come.
    var isExhausted: Bool { matcher?.isExhausted ?? true }

    private var isComplete: Bool { matcher?.isComplete ?? true }

    /// Restricts the rest to tokens that bring the text to its end.
    mutating func close() { matcher?.close() }

    func allows(_ token: Int) -> Bool {
        if vocabulary.endTokens.contains(token) { return isComplete }
        var copy = self
        return copy.accept(token)
    }

    /// Reads a token.
    /// - Returns: whether it was allowed; if not, nothing was read.
    @discardableResult
    mutating func accept(_ token: Int) -> Bool {
        guard let bytes = vocabulary.bytes(of: token) else { return false }
        let blanks = bytes.prefix(excessBlanks).prefix { $0 == 0x20 }.count
        let rest = bytes[blanks...]
        guard matcher?.advance(rest) ?? false else { return false }
        excessBlanks = rest.isEmpty ? excessBlanks - blanks : 0
        return true
    }

    /// Adds to a row of scores, one per token of the vocabulary: −∞ for a forbidden token, 0 for an allowed one. If
    /// no token is allowed, the end of the turn is.
    func mask(_ row: inout ArraySlice<Float>) {
        let mask = matcher?.texts(of: vocabulary.trie, skippingBlanks: excessBlanks)
        let start = row.startIndex
        let ends = isComplete || mask?.isEmpty ?? true
        for token in 0..<row.count where !(mask?.contains(token) ?? false) { row[start + token] = -.infinity }
        guard ends else { return }
        for token in vocabulary.endTokens where token < row.count { row[start + token] = 0 }
    }

    /// 0 for each allowed token and −∞ for each forbidden one: `[1, vocabulary]`.
    func mask(vocabularySize: Int) throws -> Tensor {
        var values = [Float](repeating: 0, count: vocabularySize)
        mask(&values[...])
        return try Tensor(values, shape: [1, vocabularySize])
    }
}

/// The bytes of all tokens, and the automata of the grammars that were used last.
final class TokenTrie: Sendable {
    let endTokens: Set<Int>
    /// The number of leading blanks that the tokenizer's decoder drops.
    let leadingBlanks: Int
    let trie: ByteTrie
    private let texts: [[UInt8]?]
    private let automata = Mutex(Automata())

    private struct Automata {
        /// The recent grammars, the latest last.
        var kept: [(grammar: OutputGrammar, automaton: GrammarAutomaton)] = []
    }

    private static let mostAutomata = 8

    init(_ tokenizer: Tokenizer, endTokens: Set<Int>) {
        self.endTokens = endTokens
        leadingBlanks = tokenizer.leadingSpaces
        texts = (0..<tokenizer.vocabularySize).map { token in
            let id = Int32(token)
            let bytes = tokenizer.isSpecial(id) ? [] : tokenizer.bytes(of: id, specials: .kept)
            return bytes.isEmpty || endTokens.contains(token) ? nil : bytes
        }
        trie = ByteTrie(texts)
    }

    /// The bytes of a token; nil for a token that writes no text.
    func bytes(of token: Int) -> [UInt8]? { texts.indices.contains(token) ? texts[token] : nil }

    /// The automaton of a grammar, shared by all requests with that grammar.
    /// - Throws: `GrammarError` when the grammar allows no text, or is too large.
    func automaton(for grammar: OutputGrammar) throws(GrammarError) -> GrammarAutomaton {
        let known = automata.withLock { automata -> GrammarAutomaton? in
            guard let place = automata.kept.firstIndex(where: { $0.grammar == grammar }) else { return nil }
            let entry = automata.kept.remove(at: place)
            automata.kept.append(entry)
            return entry.automaton
        }
        if let known { return known }
        let made = try GrammarAutomaton(grammar)
        automata.withLock { automata in
            automata.kept.append((grammar, made))
            if automata.kept.count > Self.mostAutomata { automata.kept.removeFirst() }
        }
        return made
    }
}
