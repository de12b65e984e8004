/// How many parts of a grammar may read one text at the same time. Each of them is followed at every byte that a token could
/// have, so this is what the next token's time grows with.
struct GrammarBreadth {
    private let nodes: [GrammarNode]
    private var known: [Int?]

    /// The most that is followed.
    static let most = 128
    private static let uncounted = 1 << 20

    init(_ nodes: [GrammarNode]) {
        self.nodes = nodes
        known = Array(repeating: nil, count: nodes.count)
    }

    /// The parts that free texts are read by; literal texts tell themselves apart, and so do numbers, soon.
    mutating func breadth(of node: Int) -> Int {
        if let known = known[node] { return known }
        // A part within itself comes later in the text.
        known[node] = 0
        let breadth = measure(nodes[node])
        known[node] = breadth
        return breadth
    }

    private mutating func measure(_ node: GrammarNode) -> Int {
        switch node {
        case .nothing, .text, .number: 0
        case .string, .anything, .anyValue: 1
        case .sequence(let parts): widest(parts)
        case .prose(let prose): 1 + widest(prose.endings.map(\.next))
        case .array(let rule): widest(rule.prefix + [rule.items])
        case .object(let rule): widest(rule.members.map(\.value) + [rule.others].compactMap { $0 })
        case .choice(let choices):
            areToldApart(choices)
                ? widest(choices) : choices.reduce(0) { min($0 + breadth(of: $1), Self.uncounted) }
        }
    }

    private mutating func widest(_ parts: [Int]) -> Int { parts.reduce(0) { max($0, breadth(of: $1)) } }

    /// Whether all choices begin with literal texts, none of which begins another: calls of tools begin with their names.
    private func areToldApart(_ choices: [Int]) -> Bool {
        var beginnings: [[UInt8]] = []
        for choice in choices {
            guard case .sequence(let parts) = nodes[choice], let first = parts.first,
                case .text(let bytes) = nodes[first], !bytes.isEmpty
            else { return false }
            beginnings.append(bytes)
        }
        beginnings.sort { $0.lexicographicallyPrecedes($1) }
        return zip(beginnings, beginnings.dropFirst()).allSatisfy { !$1.starts(with: $0) }
    }
}
