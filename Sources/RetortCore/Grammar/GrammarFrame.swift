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
        case .string: return .reads
        case .number(let node, let state):
            guard case .number(let rule) = nodes[node] else { return .is([]) }
            return rule.isComplete(state) ? .readsOrEnds : .reads
        case .node(let node, let depth):
            return .is(sequences(of: node, depth, isTight: isClosing || depth >= Self.deepest))
        case .members(let node, let left, let count, let depth):
            return .is(members(node, left, count, depth, isTight: isClosing || depth >= Self.deepest))
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
        let comma: [GrammarFrame] = count > 0 ? [.gap, .text(","), .gap] : [.gap]
        func member(_ key: [GrammarFrame], _ value: Int, left: MemberSet) -> [GrammarFrame] {
            comma + key + [
                .gap, .text(":"), .gap, .node(value, depth: depth),
                // How many there are matters to free names only.
                .members(node, left: left, count: rule.others == nil ? 1 : count + 1, depth: depth),
            ]
        }
        var choices: [[GrammarFrame]] = []
        for (place, named) in rule.members.enumerated() where left.contains(place) && heights[named.value] != nil {
            guard !isTight || rule.required.contains(place) else { continue }
            choices.append(member([.literal(named.key, read: 0)], named.value, left: left.without(place)))
        }
        // A free name could be that of a member with a schema of its own.
        if let others = rule.others, rule.members.isEmpty, count < Self.mostElements, !isTight, heights[others] != nil {
            choices.append(member([.text("\""), .string(GrammarCompiler.kinds.name, .init())], others, left: left))
        }
        if rule.required.isDisjoint(with: left) { choices.append([.gap, .text("}")]) }
        return choices
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
        case .node, .members, .elements: return nil
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
        case .node, .literal, .blanks, .members, .number: return frame
        }
    }
}
