/// Where a text stands in a grammar. Copies are cheap, so that a token can be tried and taken back.
package struct GrammarMatcher: Sendable {
    private let automaton: GrammarAutomaton
    private var state: GrammarState
    /// Whether the text must come to its end by the shortest way.
    private var isClosing = false

    package init(_ automaton: GrammarAutomaton) {
        self.automaton = automaton
        state = automaton.start
    }

    /// - Throws: `GrammarError`.
    package init(_ grammar: OutputGrammar) throws(GrammarError) { self.init(try GrammarAutomaton(grammar)) }

    /// From here on free text goes to its ending, texts and lists to their close, and nothing optional begins.
    package mutating func close() { isClosing = true }

    /// Whether the text may end here.
    package var isComplete: Bool { automaton.isComplete(state, isClosing: isClosing) }

    /// Whether nothing may come any more.
    package var isExhausted: Bool { automaton.isExhausted(state, isClosing: isClosing) }

    /// Reads a byte.
    /// - Returns: whether the text can go on so; if not, nothing was read.
    package mutating func advance(_ byte: UInt8) -> Bool { advance(CollectionOfOne(byte)) }

    /// Reads bytes.
    /// - Returns: whether the text can go on so; if not, nothing was read.
    package mutating func advance(_ bytes: some Sequence<UInt8>) -> Bool {
        guard let next = automaton.state(after: state, bytes, isClosing: isClosing) else { return false }
        state = next
        return true
    }

    /// Which texts may come next.
    package func texts(of trie: ByteTrie, skippingBlanks blanks: Int) -> TextMask {
        automaton.texts(of: trie, after: state, isClosing: isClosing, skippingBlanks: blanks)
    }
}

extension OutputGrammar {
    /// Makes sure that something can be written that the grammar allows, and that it can be followed.
    /// - Throws: `GrammarError`.
    public func check() throws(GrammarError) { _ = try GrammarCompiler.rules(for: self) }

    /// Makes sure besides that a stranger's grammar can be followed in good time.
    /// - Throws: `GrammarError`.
    package func checkForStrangers() throws(GrammarError) {
        let (rules, start) = try GrammarCompiler.rules(for: self)
        var breadth = GrammarBreadth(rules.nodes)
        guard breadth.breadth(of: start) <= GrammarBreadth.most else {
            throw .tooLarge("more than \(GrammarBreadth.most) of its choices may be read in the same text")
        }
    }
}
