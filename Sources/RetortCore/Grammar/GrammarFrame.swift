/// A part of a text that is still to come.
enum GrammarFrame: Hashable, Sendable {
    case node(Int, depth: Int)
    /// What follows some bytes of a literal text.
    case literal([UInt8], read: Int)
    case prose(Int, begun: Int, left: Int)
    case anything(left: Int, hasVisible: Bool)
    /// Blanks that may stand between two parts of JSON.
    case blanks(left: Int)
    /// What follows `{` or a member.
    case members(Int, left: MemberSet, count: Int, depth: Int)
    /// The name of one of the members that are left.
    case names(Int, left: MemberSet, count: Int, depth: Int)
    /// What follows some bytes of a member's name, then its value and the other members. It is one part, so that all names are
    /// read over one state: objects have hundreds of members that may be left out.
    case name(Int, place: Int, read: Int, left: MemberSet, count: Int, depth: Int)
    /// What follows `[` or an element.
    case elements(Int, count: Int, depth: Int)
    /// What follows the opening quotation mark.
    case string(Int, JSONStringRule.State)
    case number(Int, JSONNumberRule.State)

    /// What a part is made of.
    enum Expansion {
        /// It reads the next byte.
        case reads
        /// It reads the next byte, or is over.
        case readsOrEnds
        /// One of these sequences.
        case `is`([[GrammarFrame]])
    }

    static func text(_ text: String) -> GrammarFrame { .literal(Array(text.utf8), read: 0) }

    static let gap = GrammarFrame.blanks(left: 4)

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

/// How parts of one grammar are read.
struct GrammarRules: Sendable {
    let nodes: [GrammarNode]
    /// How deep each part nests at least; nil where it has no text.
    let heights: [Int?]

    /// Values of any kind nest so deep; so do those of a schema that means itself, before they are brought to their end.
    static let deepestAny = 4
    static let deepest = 24
    private static let mostElements = 16

    /// What a part is made of. When it is tight, nothing that may be left out begins.
    func expansion(of frame: GrammarFrame, isClosing: Bool) -> GrammarFrame.Expansion {
        switch frame {
        case .literal(let bytes, let read): return read == bytes.count ? .is([[]]) : .reads
        case .prose: return .reads
        case .anything(let left, let hasVisible):
            if hasVisible, isClosing { return .is([[]]) }
            return left == 0 ? .is([[]]) : hasVisible ? .readsOrEnds : .reads
        case .blanks(let left): return left > 0 && !isClosing ? .readsOrEnds : .is([[]])
        case .string, .name: return .reads
        case .number(let node, let state):
            guard case .number(let rule) = nodes[node] else { return .is([]) }
            return rule.isComplete(state) ? .readsOrEnds : .reads
        case .node(let node, let depth):
            return .is(sequences(of: node, depth, isTight: isClosing || depth >= Self.deepest))
        case .members(let node, let left, let count, let depth):
            return .is(members(node, left, count, depth, isTight: isClosing || depth >= Self.deepest))
        case .names(let node, let left, let count, let depth):
            return .is(names(node, left, count, depth, isTight: isClosing || depth >= Self.deepest))
        case .elements(let node, let count, let depth):
            return .is(elements(node, count, depth, isTight: isClosing || depth >= Self.deepest))
        }
    }

    private func sequences(of node: Int, _ depth: Int, isTight: Bool) -> [[GrammarFrame]] {
        switch nodes[node] {
        case .nothing: return []
        case .text(let bytes): return [[.literal(bytes, read: 0)]]
        case .choice(let choices):
            let possible = choices.filter { heights[$0] != nil }
            let least = possible.compactMap { heights[$0] }.min()
            return possible.filter { !isTight || heights[$0] == least }.map { [.node($0, depth: depth)] }
        case .sequence(let parts): return [parts.map { .node($0, depth: depth) }]
        case .prose(let prose): return [[.prose(node, begun: 0, left: prose.limit)]]
        case .anything(let limit): return [[.anything(left: limit, hasVisible: false)]]
        case .anyValue:
            let kinds = GrammarCompiler.kinds
            let open = depth < Self.deepestAny && !isTight ? kinds.scalars + kinds.nested : kinds.scalars
            return open.map { [.node($0, depth: depth)] }
        case .number: return [[.number(node, .init())]]
        case .string: return [[.text("\""), .string(node, .init())]]
        case .array: return [[.text("["), .elements(node, count: 0, depth: depth + 1)]]
        case .object(let rule):
            let all = MemberSet(rule.members.indices, of: rule.members.count)
            return [[.text("{"), .members(node, left: all, count: 0, depth: depth + 1)]]
        }
    }

    private func members(
        _ node: Int, _ left: MemberSet, _ count: Int, _ depth: Int, isTight: Bool
    ) -> [[GrammarFrame]] {
        guard case .object(let rule) = nodes[node] else { return [] }
        let isNeeded = !rule.required.isDisjoint(with: left)
        var choices: [[GrammarFrame]] = isNeeded ? [] : [[.gap, .text("}")]]
        let mayGoOn =
            rule.members.indices.contains { left.contains($0) && heights[rule.members[$0].value] != nil }
            || takesFreeName(rule, count)
        if isTight ? isNeeded : mayGoOn {
            let comma: [GrammarFrame] = count > 0 ? [.gap, .text(","), .gap] : [.gap]
            choices.append(comma + [.names(node, left: left, count: count, depth: depth)])
        }
        return choices
    }

    private func names(
        _ node: Int, _ left: MemberSet, _ count: Int, _ depth: Int, isTight: Bool
    ) -> [[GrammarFrame]] {
        guard case .object(let rule) = nodes[node] else { return [] }
        var places = rule.members.indices.filter { left.contains($0) && heights[rule.members[$0].value] != nil }
        if isTight {
            let needed = places.filter(rule.required.contains)
            // Behind a comma some member must come, needed or not.
            places = needed.isEmpty && count > 0 ? places : needed
        }
        var choices: [[GrammarFrame]] = places.map {
            [.name(node, place: $0, read: 0, left: left, count: count, depth: depth)]
        }
        if let others = rule.others, takesFreeName(rule, count), !isTight || count > 0 {
            choices.append(
                [.text("\""), .string(GrammarCompiler.kinds.name, .init())]
                    + value(others, of: node, left: left, count, depth))
        }
        return choices
    }

    /// Whether a member of a free name may come: it could be that of a member with a schema of its own, where there is one.
    private func takesFreeName(_ rule: JSONObjectRule, _ count: Int) -> Bool {
        guard let others = rule.others, rule.members.isEmpty else { return false }
        return count < Self.mostElements && heights[others] != nil
    }

    /// What follows a member's name.
    private func value(
        _ value: Int, of node: Int, left: MemberSet, _ count: Int, _ depth: Int
    ) -> [GrammarFrame] {
        guard case .object(let rule) = nodes[node] else { return [] }
        return [
            .gap, .text(":"), .gap, .node(value, depth: depth),
            // How many there are matters to free names only.
            .members(node, left: left, count: rule.others == nil ? 1 : count + 1, depth: depth),
        ]
    }

    private func elements(_ node: Int, _ count: Int, _ depth: Int, isTight: Bool) -> [[GrammarFrame]] {
        guard case .array(let rule) = nodes[node] else { return [] }
        var choices: [[GrammarFrame]] = count >= rule.minimum ? [[.gap, .text("]")]] : []
        let most = isTight ? min(max(count, rule.minimum), rule.maximum) : rule.maximum
        let element = rule.element(count)
        if count < most, heights[element] != nil {
            choices.append(
                (count > 0 ? [.gap, .text(","), .gap] : [.gap]) + [
                    .node(element, depth: depth), .elements(node, count: count + 1, depth: depth),
                ])
        }
        return choices
    }

    /// What is to come after a byte; nil when the byte does not fit.
    func reading(_ byte: UInt8, in frame: GrammarFrame, isClosing: Bool) -> [GrammarFrame]? {
        switch frame {
        case .literal(let bytes, let read):
            guard read < bytes.count, bytes[read] == byte else { return nil }
            return read + 1 == bytes.count ? [] : [.literal(bytes, read: read + 1)]
        case .prose(let node, let begun, let left):
            guard case .prose(let prose) = nodes[node] else { return nil }
            switch prose.step(begun, byte) {
            case .ended(let next): return heights[next] == nil ? nil : [.node(next, depth: 0)]
            case .goesOn(let next):
                // At the limit each byte must bring an ending nearer.
                let isNearer = prose.beginnings[next].count == prose.beginnings[begun].count + 1
                guard isNearer || (left > 0 && !isClosing) else { return nil }
                return [.prose(node, begun: next, left: max(left - 1, 0))]
            }
        case .anything(let left, let hasVisible):
            let isVisible = !GrammarFrame.isBlank(byte)
            // The last byte must not leave the text blank.
            guard hasVisible || isVisible || (left > 1 && !isClosing) else { return nil }
            return [.anything(left: left - 1, hasVisible: hasVisible || isVisible)]
        case .blanks(let left): return [0x20, 0x0A, 0x09].contains(byte) ? [.blanks(left: left - 1)] : nil
        case .string(let node, let state):
            guard case .string(let rule) = nodes[node] else { return nil }
            switch rule.reading(byte, in: state, isClosing: isClosing) {
            case .closed: return []
            case .open(let next): return [.string(node, next)]
            case nil: return nil
            }
        case .number(let node, let state):
            guard case .number(let rule) = nodes[node] else { return nil }
            return rule.reading(byte, in: state).map { [.number(node, $0)] }
        case .name(let node, let place, let read, let left, let count, let depth):
            guard case .object(let rule) = nodes[node], rule.members[place].key[read] == byte else { return nil }
            let member = rule.members[place]
            guard read + 1 == member.key.count else {
                return [.name(node, place: place, read: read + 1, left: left, count: count, depth: depth)]
            }
            return value(member.value, of: node, left: left.without(place), count, depth)
        case .node, .members, .names, .elements: return nil
        }
    }

    /// How a part goes on where no more than `horizon` bytes are looked at: far bounds are alike.
    func near(_ frame: GrammarFrame, horizon: Int) -> GrammarFrame {
        switch frame {
        case .prose(let node, let begun, let left): return .prose(node, begun: begun, left: min(left, horizon + 1))
        case .anything(let left, let hasVisible): return .anything(left: min(left, horizon + 1), hasVisible: hasVisible)
        case .string(let node, let state):
            guard case .string(let rule) = nodes[node] else { return frame }
            return .string(node, rule.near(state, horizon: horizon))
        case .elements(let node, let count, let depth):
            guard case .array(let rule) = nodes[node], count > 0, count >= rule.prefix.count else { return frame }
            if rule.minimum - count > horizon {
                return .elements(node, count: max(rule.prefix.count, rule.minimum - horizon - 1), depth: depth)
            }
            guard count > max(rule.minimum, 1), rule.maximum - count > horizon else { return frame }
            return .elements(node, count: max(rule.prefix.count, rule.minimum, 1), depth: depth)
        case .node, .literal, .blanks, .members, .names, .name, .number: return frame
        }
    }
}
