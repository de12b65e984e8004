import RetortCore

/// Where a text stands in a grammar, byte by byte: all ways to read what was written so far.
///
/// Each way is a stack of what is still to come, as in a pushdown automaton; a byte keeps the ways that can go on with it.
/// Copies are cheap, so that a token can be tried and taken back.
struct GrammarMatcher: Sendable {
    /// What is still to come in one way of reading.
    indirect enum Stack: Sendable {
        /// Nothing: the text is complete.
        case end
        case frame(GrammarFrame, below: Stack)
    }

    private var ways: [Stack]
    /// Whether the text must come to its end by the shortest way.
    private var isClosing = false

    init(_ grammar: OutputGrammar) {
        ways = Self.expanded(.frame(.grammar(grammar), below: .end), isClosing: false)
    }

    /// From here on free text goes to its ending, texts and lists to their close, and nothing optional begins.
    mutating func close() {
        isClosing = true
        ways = ways.flatMap { Self.expanded($0, isClosing: true) }
    }

    /// Whether the text may end here.
    var isComplete: Bool {
        ways.contains { if case .end = $0 { true } else { false } }
    }

    /// Whether nothing may come any more.
    var isExhausted: Bool {
        ways.allSatisfy { if case .end = $0 { true } else { false } }
    }

    /// Reads a byte.
    /// - Returns: whether the text can go on so; if not, the matcher is of no further use.
    mutating func advance(_ byte: UInt8) -> Bool {
        var next: [Stack] = []
        for way in ways {
            guard case .frame(let frame, let below) = way, let rest = frame.reading(byte) else { continue }
            next += Self.expanded(rest.reversed().reduce(below) { .frame($1, below: $0) }, isClosing: isClosing)
        }
        ways = next
        return !next.isEmpty
    }

    /// The ways in which a stack can be read, each with something on top that reads bytes.
    private static func expanded(_ stack: Stack, isClosing: Bool) -> [Stack] {
        guard case .frame(let open, let below) = stack else { return [stack] }
        let frame = isClosing ? open.closing : open
        switch frame.expansion {
        case .reads: return [.frame(frame, below: below)]
        case .readsOrEnds: return [.frame(frame, below: below)] + expanded(below, isClosing: isClosing)
        case .is(let choices):
            return choices.flatMap { choice in
                expanded(choice.reversed().reduce(below) { .frame($1, below: $0) }, isClosing: isClosing)
            }
        }
    }
}

/// A part of a text that is still to come.
enum GrammarFrame: Sendable {
    case grammar(OutputGrammar)
    case literal(ArraySlice<UInt8>)
    case prose(GrammarProse)
    case anything(left: Int, hasInk: Bool)
    case json(JSONFrame)

    /// What a part is made of.
    enum Expansion {
        /// It reads the next byte.
        case reads
        /// It reads the next byte, or is over.
        case readsOrEnds
        /// One of these sequences.
        case `is`([[GrammarFrame]])
    }

    static func text(_ text: String) -> GrammarFrame { .literal(Array(text.utf8)[...]) }

    var expansion: Expansion {
        switch self {
        case .literal(let bytes): bytes.isEmpty ? .is([[]]) : .reads
        case .prose: .reads
        case .anything(let left, let hasInk): left == 0 ? .is([[]]) : hasInk ? .readsOrEnds : .reads
        case .json(let frame): frame.expansion
        case .grammar(let grammar): .is(Self.sequences(of: grammar))
        }
    }

    /// The same, to be brought to its end.
    var closing: GrammarFrame {
        switch self {
        case .prose(let prose): .prose(prose.closing)
        case .anything(let left, let hasInk): .anything(left: hasInk ? 0 : min(left, 1), hasInk: hasInk)
        case .json(let frame): .json(frame.closing)
        case .grammar, .literal: self
        }
    }

    private static func sequences(of grammar: OutputGrammar) -> [[GrammarFrame]] {
        switch grammar {
        case .text(let text): [[Self.text(text)]]
        case .oneOf(let choices): choices.map { [.grammar($0)] }
        case .sequence(let parts): [parts.map(GrammarFrame.grammar)]
        case .prose(let limit, let endings): [[.prose(GrammarProse(limit: limit, endings: endings))]]
        case .anything(let limit): [[.anything(left: limit, hasInk: false)]]
        case .json(let schema): [[.json(.value(schema, depth: 0))]]
        }
    }

    /// What is to come after a byte; nil when the byte does not fit.
    func reading(_ byte: UInt8) -> [GrammarFrame]? {
        switch self {
        case .literal(let bytes): return bytes.first == byte ? [.literal(bytes.dropFirst())] : nil
        case .prose(let prose): return prose.reading(byte)
        case .anything(let left, let hasInk):
            return [.anything(left: left - 1, hasInk: hasInk || !Self.isBlank(byte))]
        case .json(let frame): return frame.reading(byte)
        case .grammar: return nil
        }
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

/// Free text that goes on until one of its endings.
struct GrammarProse: Sendable {
    private let endings: [(bytes: [UInt8], next: OutputGrammar)]
    private let longest: Int
    private var left: Int
    /// As many of the last bytes as an ending has.
    private var recent: [UInt8] = []

    init(limit: Int, endings: [OutputGrammar.Ending]) {
        self.endings = endings.map { (Array($0.text.utf8), $0.next) }
        longest = self.endings.map(\.bytes.count).max() ?? 0
        left = limit
    }

    /// The same at its limit.
    var closing: GrammarProse {
        var closing = self
        closing.left = 0
        return closing
    }

    func reading(_ byte: UInt8) -> [GrammarFrame]? {
        var next = self
        next.recent.append(byte)
        if next.recent.count > longest { next.recent.removeFirst() }
        next.left = max(left - 1, 0)
        if let ending = endings.first(where: { next.recent.suffix($0.bytes.count) == $0.bytes[...] }) {
            return [.grammar(ending.next)]
        }
        // At the limit each byte must bring an ending nearer.
        guard left > 0 || next.begun == begun + 1 else { return nil }
        return [.prose(next)]
    }

    /// How much of an ending the last bytes are.
    private var begun: Int {
        endings.map { ending in
            (0..<ending.bytes.count).last { recent.suffix($0) == ending.bytes.prefix($0) && recent.count >= $0 } ?? 0
        }.max() ?? 0
    }
}
