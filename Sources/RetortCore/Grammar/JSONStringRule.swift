/// The inside of a JSON text, behind its opening quotation mark: valid UTF-8 and valid escapes, no half of a surrogate pair.
///
/// Where a pattern must hold, characters are written as they are, but for those that must be escaped.
struct JSONStringRule: Hashable, Sendable {
    let minimum: Int
    let maximum: Int
    let pattern: WritablePattern?

    /// A text without a limit has so many characters at most.
    static let longest = 256

    enum Mode: Hashable, Sendable {
        case plain
        case escape
        /// Hexadecimal digits to come; whether the code may still be a surrogate's.
        case hex(left: Int, isSurrogate: Bool)
        /// Bytes of a character to come, the next of them within a range; the bits so far.
        case character(left: Int, ClosedRange<UInt8>, bits: UInt32)
    }

    struct State: Hashable, Sendable {
        /// Characters that have begun.
        fileprivate(set) var count = 0
        fileprivate(set) var mode = Mode.plain
        fileprivate(set) var place = 0

        init() {}
    }

    /// After a byte.
    enum Next {
        case closed
        case open(State)
    }

    init(minimum: Int, maximum: Int, pattern: WritablePattern? = nil) {
        self.minimum = minimum
        self.maximum = maximum
        self.pattern = pattern
    }

    /// How the same goes on where no more than `horizon` bytes are looked at: texts far from their bounds are alike.
    func near(_ state: State, horizon: Int) -> State {
        var near = state
        if minimum - state.count > horizon, pattern == nil {
            near.count = minimum - horizon - 1
        } else if state.count >= minimum, maximum - state.count > horizon + (pattern?.farthest ?? 0) {
            near.count = minimum
        }
        return near
    }

    func reading(_ byte: UInt8, in state: State, isClosing: Bool) -> Next? {
        switch state.mode {
        case .plain:
            if byte == UInt8(ascii: "\"") { return mayEnd(state) ? .closed : nil }
            return begin(byte, state, isClosing)
        case .escape: return escape(byte, state, isClosing)
        case .hex(let left, let isSurrogate):
            guard byte < 0x80, let value = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
            if isSurrogate, left == 3, value >= 8 { return nil }
            var next = state
            next.mode = left == 1 ? .plain : .hex(left: left - 1, isSurrogate: left == 4 && value == 0xD)
            return .open(next)
        case .character(let left, let range, let bits):
            guard range.contains(byte) else { return nil }
            let bits = bits << 6 | UInt32(byte & 0x3F)
            if left == 1 { return written(bits...bits, state, isClosing) }
            var next = state
            next.mode = .character(left: left - 1, 0x80...0xBF, bits: bits)
            let scalars = Self.scalars(left: left - 1, 0x80...0xBF, bits)
            return written(scalars, state, isClosing) == nil ? nil : .open(next)
        }
    }

    private func mayEnd(_ state: State) -> Bool {
        guard (minimum...max(minimum, maximum)).contains(state.count) else { return false }
        return pattern?.automaton.isAccepting[state.place] ?? true
    }

    /// Whether one character more may be written at all.
    private func hasRoom(_ state: State, isClosing: Bool) -> Bool {
        state.count < (isClosing && pattern == nil ? minimum : maximum)
    }

    /// The state behind a character, one of a range; its `place` is that of the last of them.
    private func written(_ scalars: ClosedRange<UInt32>, _ state: State, _ isClosing: Bool) -> Next? {
        var next = state
        next.mode = .plain
        // Without a pattern a character counts from its first byte on.
        guard let pattern else { return .open(next) }
        next.count += 1
        let wanted = isClosing ? pattern.left(state.place, state.count, self).map { $0 - 1 } : nil
        for place in pattern.automaton.states(after: state.place, scalars) {
            guard let left = pattern.left(place, next.count, self), wanted == nil || left == wanted else { continue }
            next.place = place
            return .open(next)
        }
        return nil
    }

    /// The first byte of a character (RFC 3629, section 4).
    private func begin(_ byte: UInt8, _ state: State, _ isClosing: Bool) -> Next? {
        guard hasRoom(state, isClosing: isClosing) else { return nil }
        let mode: Mode
        switch byte {
        case UInt8(ascii: "\\"): mode = .escape
        case 0x20...0x7E: mode = .plain
        case 0xC2...0xDF: mode = .character(left: 1, 0x80...0xBF, bits: UInt32(byte & 0x1F))
        case 0xE0: mode = .character(left: 2, 0xA0...0xBF, bits: 0)
        case 0xED: mode = .character(left: 2, 0x80...0x9F, bits: 0xD)
        case 0xE1...0xEF: mode = .character(left: 2, 0x80...0xBF, bits: UInt32(byte & 0x0F))
        case 0xF0: mode = .character(left: 3, 0x90...0xBF, bits: 0)
        case 0xF1...0xF3: mode = .character(left: 3, 0x80...0xBF, bits: UInt32(byte & 0x07))
        case 0xF4: mode = .character(left: 3, 0x80...0x8F, bits: 4)
        default: return nil
        }
        var next = state
        next.mode = mode
        guard pattern != nil else {
            next.count += 1
            return .open(next)
        }
        switch mode {
        case .plain: return written(UInt32(byte)...UInt32(byte), state, isClosing)
        case .escape:
            return Self.escapes.values.contains { written($0...$0, state, isClosing) != nil } ? .open(next) : nil
        case .character(let left, let range, let bits):
            return written(Self.scalars(left: left, range, bits), state, isClosing) == nil ? nil : .open(next)
        case .hex: return nil
        }
    }

    /// The characters that may still come of some bits.
    private static func scalars(left: Int, _ range: ClosedRange<UInt8>, _ bits: UInt32) -> ClosedRange<UInt32> {
        let width = UInt32(6 * (left - 1))
        let first = (bits << 6 | UInt32(range.lowerBound & 0x3F)) << width
        let last = ((bits << 6 | UInt32(range.upperBound & 0x3F)) + 1) << width - 1
        return first...last
    }

    private static let escapes: [UInt8: UInt32] = [
        UInt8(ascii: "\""): 0x22, UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C,
        UInt8(ascii: "n"): 0x0A, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
    ]

    private func escape(_ byte: UInt8, _ state: State, _ isClosing: Bool) -> Next? {
        if pattern != nil {
            guard let scalar = Self.escapes[byte] else { return nil }
            return written(scalar...scalar, state, isClosing)
        }
        var next = state
        if byte == UInt8(ascii: "u") {
            next.mode = .hex(left: 4, isSurrogate: false)
        } else {
            guard byte == UInt8(ascii: "/") || Self.escapes[byte] != nil else { return nil }
            next.mode = .plain
        }
        return .open(next)
    }
}

/// Patterns that a text must match, all at once, over the characters that are written.
final class WritablePattern: Sendable, Hashable {
    private let sources: [TextPattern]
    let automaton: PatternAutomaton
    /// By number of characters to come, which states accept so many.
    private let completions: [[Bool]]
    /// How much was looked at to make it.
    let cost: Int
    /// The most characters that any state needs to come to an end.
    let farthest: Int

    /// What JSON texts hold as it is, and what has a short escape.
    private static let writable = ScalarSet([
        0x08...0x0A, 0x0C...0x0D, 0x20...0x7E, 0x80...0xD7FF, 0xE000...0x10FFFF,
    ])

    /// - Throws: `RegularExpression.Failure` where it is too large.
    init(_ patterns: [TextPattern], upTo limit: Int) throws(RegularExpression.Failure) {
        sources = patterns
        var automaton = PatternAutomaton(of: Self.writable)
        var cost = 0
        for pattern in patterns {
            automaton = try PatternAutomaton(automaton, and: pattern.automaton)
            cost += automaton.cost
        }
        self.automaton = automaton
        let completions = try automaton.completions(upTo: limit)
        self.completions = completions
        self.cost = cost + completions.count * automaton.isAccepting.count
        farthest =
            automaton.isAccepting.indices.map { state in
                completions.firstIndex { $0[state] } ?? limit
            }.max() ?? 0
    }

    /// How many characters at least are needed from here on, within a rule's bounds; nil when there is no way.
    func left(_ place: Int, _ count: Int, _ rule: JSONStringRule) -> Int? {
        guard count <= rule.maximum else { return nil }
        let least = max(0, rule.minimum - count)
        let most = min(rule.maximum - count, completions.count - 1)
        guard least <= most, !automaton.isEmpty else { return nil }
        return (least...most).first { completions[$0][place] }
    }

    static func == (left: WritablePattern, right: WritablePattern) -> Bool { left.sources == right.sources }

    func hash(into hasher: inout Hasher) { hasher.combine(sources) }
}
