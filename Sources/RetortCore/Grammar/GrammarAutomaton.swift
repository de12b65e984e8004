import Synchronization

/// A grammar as an automaton whose equal states are one.
///
/// A state is all parses in which the text so far can be read. A parse is the part to come next and, below it, the state behind
/// that part; parses that differ only in what is below are one, over a state that allows what any of them allows. So there
/// are never more parses than parts, however ambiguous the grammar is.
///
/// States are made when they are first reached. What follows them, and which texts of a vocabulary may, is kept by state, for
/// all samples and requests that share the automaton; when there are too many, all is forgotten and made again.
package final class GrammarAutomaton: Sendable {
    private let core: Mutex<Core>
    /// Where a text begins.
    package let start: GrammarState

    /// - Throws: `GrammarError` for a grammar without texts, or one too large.
    package init(_ grammar: OutputGrammar) throws(GrammarError) {
        let (rules, first) = try GrammarCompiler.rules(for: grammar)
        var core = Core(rules: rules)
        start = core.state([GrammarState.Parse(frame: .node(first, depth: 0), below: core.end)], ends: false)
        self.core = Mutex(core)
    }

    /// The state behind some bytes; nil when the text cannot go on so.
    package func state(after state: GrammarState, _ bytes: some Sequence<UInt8>, isClosing: Bool) -> GrammarState? {
        core.withLock { core in
            var state = state
            for byte in bytes {
                guard let next = core.next(state, byte, isClosing) else { return nil }
                state = next
            }
            return state
        }
    }

    /// Whether the text may end here.
    package func isComplete(_ state: GrammarState, isClosing: Bool) -> Bool {
        core.withLock { $0.readers(state, isClosing).ends }
    }

    /// Whether nothing may come any more.
    package func isExhausted(_ state: GrammarState, isClosing: Bool) -> Bool {
        core.withLock { $0.readers(state, isClosing).parses.isEmpty }
    }

    /// Which texts may come next.
    /// - Parameters:
    ///   - trie: always the same, for what was found is kept.
    ///   - blanks: so many blanks at the beginning are nothing.
    package func texts(
        of trie: ByteTrie, after state: GrammarState, isClosing: Bool, skippingBlanks blanks: Int
    ) -> TextMask {
        core.withLock { core in
            let near = core.near(state, horizon: ByteTrie.longest)
            var mask = core.mask(of: trie, after: near, isClosing, blanks)
            for (number, bytes) in trie.long {
                var place: GrammarState? = state
                for byte in bytes[bytes.prefix(blanks).prefix { $0 == 0x20 }.count...] {
                    place = place.flatMap { core.next($0, byte, isClosing) }
                }
                if place != nil { mask.insert(number) }
            }
            return mask
        }
    }

    /// How many states are kept now.
    package var stateCount: Int { core.withLock { $0.stateCount } }

    /// How many parses are kept now, which is what takes memory.
    package var parseCount: Int { core.withLock { $0.parseCount } }
}

/// All parses in which a text can be read so far.
package final class GrammarState: Sendable, Hashable {
    /// One parse: a part, and what may follow it.
    struct Parse: Hashable, Sendable {
        let frame: GrammarFrame
        let below: GrammarState
    }

    let parses: Set<Parse>
    /// Whether the text may be over.
    let ends: Bool

    fileprivate init(_ parses: Set<Parse>, ends: Bool) {
        self.parses = parses
        self.ends = ends
    }

    package static func == (left: GrammarState, right: GrammarState) -> Bool { left === right }

    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// What is known of an automaton so far.
private struct Core {
    private struct Content: Hashable {
        let parses: Set<GrammarState.Parse>
        let ends: Bool
    }

    private struct Key: Hashable {
        let state: GrammarState
        let isClosing: Bool
    }

    private struct MaskKey: Hashable {
        let state: GrammarState
        let isClosing: Bool
        let blanks: Int
    }

    /// The parses that read a byte, and whether the text may be over.
    struct Readers {
        var parses: [GrammarState.Parse] = []
        var ends = false
    }

    /// What follows a state, byte by byte.
    private struct Row {
        var next = [GrammarState?](repeating: nil, count: 256)
        var known = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))

        func isKnown(_ byte: UInt8) -> Bool {
            let bit = UInt64(1) << UInt64(byte & 63)
            return switch byte >> 6 {
            case 0: known.0 & bit != 0
            case 1: known.1 & bit != 0
            case 2: known.2 & bit != 0
            default: known.3 & bit != 0
            }
        }

        mutating func set(_ byte: UInt8, _ state: GrammarState?) {
            let bit = UInt64(1) << UInt64(byte & 63)
            switch byte >> 6 {
            case 0: known.0 |= bit
            case 1: known.1 |= bit
            case 2: known.2 |= bit
            default: known.3 |= bit
            }
            next[Int(byte)] = state
        }
    }

    let rules: GrammarRules
    let end: GrammarState
    private var states: [Content: GrammarState] = [:]
    private var read: [Key: Readers] = [:]
    private var rows: [Key: Int] = [:]
    private var table: [Row] = []
    private var nears: [GrammarState: GrammarState] = [:]
    private var masks: [MaskKey: TextMask] = [:]

    /// How many parses all that is kept has.
    private(set) var parseCount = 0

    /// Bounds on what is kept: a parse takes some 300 bytes, a row 2 KiB, a mask an eighth of the vocabulary's size.
    private static let mostStates = 100_000
    private static let mostParses = 200_000
    private static let mostRows = 4096
    private static let mostMasks = 256

    init(rules: GrammarRules) {
        self.rules = rules
        end = GrammarState([], ends: true)
        states[Content(parses: [], ends: true)] = end
    }

    var stateCount: Int { states.count }

    /// The one state of these parses.
    mutating func state(_ parses: [GrammarState.Parse], ends: Bool) -> GrammarState {
        var below: [GrammarFrame: GrammarState] = [:]
        for parse in parses { below[parse.frame] = below[parse.frame].map { union($0, parse.below) } ?? parse.below }
        let content = Content(
            parses: Set(below.map { GrammarState.Parse(frame: $0.key, below: $0.value) }), ends: ends)
        if let known = states[content] { return known }
        if states.count >= Self.mostStates || parseCount >= Self.mostParses { forget() }
        parseCount += content.parses.count
        let state = GrammarState(content.parses, ends: ends)
        states[content] = state
        return state
    }

    private mutating func forget() {
        states = [Content(parses: [], ends: true): end]
        read = [:]
        parseCount = 0
        forgetRows()
        nears = [:]
        masks = [:]
    }

    private mutating func forgetRows() {
        rows = [:]
        table = []
    }

    private mutating func union(_ left: GrammarState, _ right: GrammarState) -> GrammarState {
        left == right ? left : state(Array(left.parses) + right.parses, ends: left.ends || right.ends)
    }

    /// A state with some parts to come before it.
    private mutating func push(_ frames: [GrammarFrame], on below: GrammarState) -> GrammarState {
        frames.reversed().reduce(below) { below, frame in
            state([GrammarState.Parse(frame: frame, below: below)], ends: false)
        }
    }

    mutating func readers(_ state: GrammarState, _ isClosing: Bool) -> Readers {
        let key = Key(state: state, isClosing: isClosing)
        if let known = read[key] { return known }
        var found = Readers(ends: state.ends)
        var seen: Set<GrammarState.Parse> = []
        var work = Array(state.parses)
        func visit(_ state: GrammarState, _ work: inout [GrammarState.Parse]) {
            found.ends = found.ends || state.ends
            work += state.parses
        }
        while let parse = work.popLast() {
            guard seen.insert(parse).inserted else { continue }
            switch rules.expansion(of: parse.frame, isClosing: isClosing) {
            case .reads: found.parses.append(parse)
            case .readsOrEnds:
                found.parses.append(parse)
                visit(parse.below, &work)
            case .is(let sequences):
                for sequence in sequences { visit(push(sequence, on: parse.below), &work) }
            }
        }
        parseCount += found.parses.count
        read[key] = found
        return found
    }

    /// The state behind a byte; nil when it cannot come.
    mutating func next(_ state: GrammarState, _ byte: UInt8, _ isClosing: Bool) -> GrammarState? {
        let key = Key(state: state, isClosing: isClosing)
        if let row = rows[key], table[row].isKnown(byte) { return table[row].next[Int(byte)] }
        var parses: [GrammarState.Parse] = []
        var ends = false
        var isPossible = false
        for parse in readers(state, isClosing).parses {
            guard let rest = rules.reading(byte, in: parse.frame, isClosing: isClosing) else { continue }
            let next = push(rest, on: parse.below)
            isPossible = true
            parses += next.parses
            ends = ends || next.ends
        }
        let next = isPossible ? self.state(parses, ends: ends) : nil
        if table.count >= Self.mostRows { forgetRows() }
        let row: Int
        if let known = rows[key] {
            row = known
        } else {
            row = table.count
            rows[key] = row
            table.append(Row())
        }
        table[row].set(byte, next)
        return next
    }

    /// The state that goes on alike for so many bytes.
    mutating func near(_ state: GrammarState, horizon: Int) -> GrammarState {
        if let known = nears[state] { return known }
        var parses: [GrammarState.Parse] = []
        for parse in state.parses {
            parses.append(
                GrammarState.Parse(
                    frame: rules.near(parse.frame, horizon: horizon), below: near(parse.below, horizon: horizon)))
        }
        let near = self.state(parses, ends: state.ends)
        nears[state] = near
        return near
    }

    // MARK: Masks

    mutating func mask(of trie: ByteTrie, after state: GrammarState, _ isClosing: Bool, _ blanks: Int) -> TextMask {
        let key = MaskKey(state: state, isClosing: isClosing, blanks: blanks)
        if let known = masks[key] { return known }
        var mask = TextMask(count: trie.count)
        visit(trie, 0, state, isClosing, blanks, &mask)
        if masks.count >= Self.mostMasks { masks = [:] }
        masks[key] = mask
        return mask
    }

    private mutating func visit(
        _ trie: ByteTrie, _ node: Int, _ state: GrammarState, _ isClosing: Bool, _ blanks: Int, _ mask: inout TextMask
    ) {
        for text in trie.nodes[node].texts { mask.insert(text) }
        for (byte, child) in trie.nodes[node].children {
            if byte == 0x20, blanks > 0 {
                visit(trie, child, state, isClosing, blanks - 1, &mask)
            } else if let next = next(state, byte, isClosing) {
                visit(trie, child, next, isClosing, 0, &mask)
            }
        }
    }
}
