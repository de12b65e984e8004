import RetortCore
import RetortTensor

/// Which tokens may come next in one sample that is held to a grammar.
///
/// Tokens are judged by their bytes, so one may hold several parts of the grammar, or a part of a character. Special
/// tokens may not come, but for those that end the turn, once the text is complete.
struct TokenConstraint: Sendable {
    private let vocabulary: TokenTrie
    private var matcher: GrammarMatcher
    /// Blanks at the start that the decoder will leave out.
    private var excessBlanks: Int

    init(_ grammar: OutputGrammar, _ vocabulary: TokenTrie) {
        self.vocabulary = vocabulary
        matcher = GrammarMatcher(grammar)
        excessBlanks = vocabulary.leadingBlanks
    }

    /// Whether nothing but the end of the turn may come.
    var isExhausted: Bool { matcher.isExhausted }

    /// Only what brings the text to its end may come from here on.
    mutating func close() { matcher.close() }

    func allows(_ token: Int) -> Bool {
        if vocabulary.endTokens.contains(token) { return matcher.isComplete }
        var copy = self
        return copy.accept(token)
    }

    /// Reads a token.
    /// - Returns: whether it was allowed.
    @discardableResult
    mutating func accept(_ token: Int) -> Bool {
        guard let bytes = vocabulary.bytes(of: token) else { return false }
        var rest = bytes[...]
        while excessBlanks > 0, rest.first == 0x20 {
            rest.removeFirst()
            excessBlanks -= 1
        }
        if !rest.isEmpty { excessBlanks = 0 }
        for byte in rest where !matcher.advance(byte) { return false }
        return true
    }

    /// For each token 0 where it may come and −∞ where not: `[1, vocabulary]`. When nothing may, the turn's end may.
    func mask(vocabularySize: Int) throws -> Tensor {
        var values = [Float](repeating: -.infinity, count: vocabularySize)
        func allow(_ token: Int) { if token < vocabularySize { values[token] = 0 } }
        vocabulary.forEachToken(after: matcher, skippingBlanks: excessBlanks, allow)
        if matcher.isComplete || !values.contains(0) { vocabulary.endTokens.forEach(allow) }
        return try Tensor(values, shape: [1, vocabularySize])
    }
}

/// The bytes of all tokens, as a tree of what they begin with: a grammar walks it once for all tokens.
final class TokenTrie: Sendable {
    private struct Node {
        var children: [UInt8: Int] = [:]
        /// Tokens that end here.
        var tokens: [Int] = []
    }

    let endTokens: Set<Int>
    /// Blanks at the start of a text that the tokenizer's decoder leaves out.
    let leadingBlanks: Int
    private let nodes: [Node]
    private let texts: [[UInt8]?]

    init(_ tokenizer: Tokenizer, endTokens: Set<Int>) {
        self.endTokens = endTokens
        leadingBlanks = tokenizer.leadingSpaces
        var nodes = [Node()]
        texts = (0..<tokenizer.vocabularySize).map { token in
            let id = Int32(token)
            let bytes = tokenizer.isSpecial(id) ? [] : tokenizer.bytes(of: id, specials: .kept)
            guard !bytes.isEmpty, !endTokens.contains(token) else { return nil }
            var node = 0
            for byte in bytes {
                if let next = nodes[node].children[byte] {
                    node = next
                } else {
                    nodes.append(Node())
                    nodes[node].children[byte] = nodes.count - 1
                    node = nodes.count - 1
                }
            }
            nodes[node].tokens.append(token)
            return bytes
        }
        self.nodes = nodes
    }

    /// The bytes of a token that writes something.
    func bytes(of token: Int) -> [UInt8]? { texts.indices.contains(token) ? texts[token] : nil }

    /// Calls `body` with each token that a grammar allows next.
    func forEachToken(after matcher: GrammarMatcher, skippingBlanks blanks: Int, _ body: (Int) -> Void) {
        visit(0, matcher, blanks, body)
    }

    private func visit(_ node: Int, _ matcher: GrammarMatcher, _ blanks: Int, _ body: (Int) -> Void) {
        for token in nodes[node].tokens { body(token) }
        for (byte, child) in nodes[node].children {
            if byte == 0x20, blanks > 0 {
                visit(child, matcher, blanks - 1, body)
                continue
            }
            var next = matcher
            if next.advance(byte) { visit(child, next, 0, body) }
        }
    }
}
