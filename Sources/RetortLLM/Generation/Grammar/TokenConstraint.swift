import RetortCore
import RetortTensor
import Synchronization

/// Which tokens may come next in one sample that is held to a grammar.
///
/// Tokens are judged by their bytes, so one may hold several parts of the grammar, or a part of a character. Special
/// tokens may not come, but for those that end the turn, once the text is complete.
struct TokenConstraint: Sendable {
    private let vocabulary: TokenTrie
    /// Nil for a grammar that allows no text at all: then the turn ends at once. `OutputGrammar.check` tells beforehand.
    private var matcher: GrammarMatcher?
    /// Blanks at the start that the decoder will leave out.
    private var excessBlanks: Int

    init(_ grammar: OutputGrammar, _ vocabulary: TokenTrie) {
        self.vocabulary = vocabulary
        matcher = vocabulary.automaton(for: grammar).map { GrammarMatcher($0) }
        excessBlanks = vocabulary.leadingBlanks
    }

    /// Whether nothing but the end of the turn may come.
    var isExhausted: Bool { matcher?.isExhausted ?? true }

    private var isComplete: Bool { matcher?.isComplete ?? true }

    /// Only what brings the text to its end may come from here on.
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

    /// Adds to a row of scores, one a token of the vocabulary: −∞ where a token may not come, 0 elsewhere. When nothing may,
    /// the turn's end may.
    func mask(_ row: inout ArraySlice<Float>) {
        let mask = matcher?.texts(of: vocabulary.trie, skippingBlanks: excessBlanks)
        let start = row.startIndex
        let ends = isComplete || mask?.isEmpty ?? true
        for token in 0..<row.count where !(mask?.contains(token) ?? false) { row[start + token] = -.infinity }
        guard ends else { return }
        for token in vocabulary.endTokens where token < row.count { row[start + token] = 0 }
    }

    /// For each token 0 where it may come and −∞ where not: `[1, vocabulary]`.
    func mask(vocabularySize: Int) throws -> Tensor {
        var values = [Float](repeating: 0, count: vocabularySize)
        mask(&values[...])
        return try Tensor(values, shape: [1, vocabularySize])
    }
}

/// The bytes of all tokens, and the automata of the grammars that were last asked for.
final class TokenTrie: Sendable {
    let endTokens: Set<Int>
    /// Blanks at the start of a text that the tokenizer's decoder leaves out.
    let leadingBlanks: Int
    let trie: ByteTrie
    private let texts: [[UInt8]?]
    private let automata = Mutex(Automata())

    private struct Automata {
        /// The last asked for stands last.
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

    /// The bytes of a token that writes something.
    func bytes(of token: Int) -> [UInt8]? { texts.indices.contains(token) ? texts[token] : nil }

    /// The automaton of a grammar, which all requests with that grammar share; nil when the grammar allows no text.
    func automaton(for grammar: OutputGrammar) -> GrammarAutomaton? {
        let known = automata.withLock { automata -> GrammarAutomaton? in
            guard let place = automata.kept.firstIndex(where: { $0.grammar == grammar }) else { return nil }
            let entry = automata.kept.remove(at: place)
            automata.kept.append(entry)
            return entry.automaton
        }
        if let known { return known }
        guard let made = try? GrammarAutomaton(grammar) else { return nil }
        automata.withLock { automata in
            automata.kept.append((grammar, made))
            if automata.kept.count > Self.mostAutomata { automata.kept.removeFirst() }
        }
        return made
    }
}
