import RetortLLM

/// Samples as a tree of what they share: every token is computed once, and gradients are those of the samples one by one.
///
/// A token that several samples share attends to nothing but tokens they share as well, so its state is the same in all of
/// them, and its gradient is the sum of theirs. Trajectories of one question, the roles of one dialogue, and all samples of
/// an agent with long instructions begin alike: on ToolBench's own files that is half of all tokens.
struct PrefixTree {
    private struct Node {
        var tokens: ArraySlice<Int32>
        /// For each token, of how many samples it is a target.
        var targets: [Int]
        /// Tokens that are targets of other weights or losses, by their place in the node.
        var marks: [Mark] = []
        var children: [Int] = []
    }

    /// A token of a sample with other weights than 0 and 1, or with another loss than the cross-entropy.
    private struct Mark {
        /// In the node.
        var offset: Int
        var sample: Int
        /// In the sample.
        var place: Int
    }

    /// Shorter beginnings are not worth a segment of their own.
    static let shortestShare = 32

    private var nodes: [Node] = []
    private var roots: [Int] = []
    private var sampleTokens = 0
    private var streamed: [TrainingExample] = []
    /// Tokens in the row, shared ones once.
    private(set) var tokenCount = 0

    /// How many tokens a sample would add.
    func cost(of example: TrainingExample) -> Int {
        let path = path(of: example.tokens)
        return example.tokens.count - path.shared
    }

    /// How many tokens samples would add together.
    func cost(of unit: [TrainingExample]) -> Int {
        guard unit.count > 1 else { return unit.first.map { cost(of: $0) } ?? 0 }
        var tree = self
        for example in unit { tree.insert(example) }
        return tree.tokenCount - tokenCount
    }

    /// The way a sample goes: nodes it shares in full, and the one it leaves midway.
    private func path(of tokens: [Int32]) -> (full: [Int], partial: (node: Int, length: Int)?, shared: Int) {
        var full: [Int] = []
        var shared = 0
        var candidates = roots
        while shared < tokens.count {
            let rest = tokens[shared...]
            let best = candidates.map { (node: $0, length: Self.commonLength(nodes[$0].tokens, rest)) }
                .max { $0.length < $1.length }
            guard let best, best.length > 0 else { break }
            if best.length == nodes[best.node].tokens.count {
                full.append(best.node)
                shared += best.length
                candidates = nodes[best.node].children
            } else if best.length >= Self.shortestShare {
                return (full, best, shared + best.length)
            } else {
                break
            }
        }
        return (full, nil, shared)
    }

    private static func commonLength(_ a: ArraySlice<Int32>, _ b: ArraySlice<Int32>) -> Int {
        zip(a, b).prefix { $0 == $1 }.count
    }

    mutating func insert(_ example: TrainingExample) {
        var (full, partial, shared) = path(of: example.tokens)
        if let partial {
            split(partial.node, at: partial.length)
            full.append(partial.node)
        }
        let isPlain = example.isPlain
        let number = streamed.count
        if !isPlain { streamed.append(example) }
        func marks(_ places: Range<Int>) -> [Mark] {
            guard !isPlain else { return [] }
            return places.filter { example.weights[$0] != 0 }.map {
                Mark(offset: $0 - places.lowerBound, sample: number, place: $0)
            }
        }
        var position = 0
        for node in full {
            let end = position + nodes[node].targets.count
            if isPlain {
                for index in nodes[node].targets.indices where example.weights[position + index] != 0 {
                    nodes[node].targets[index] += 1
                }
            }
            nodes[node].marks += marks(position..<end)
            position = end
        }
        sampleTokens += example.tokens.count
        guard shared < example.tokens.count else { return }
        nodes.append(
            Node(
                tokens: example.tokens[shared...],
                targets: example.weights[shared...].map { isPlain && $0 != 0 ? 1 : 0 },
                marks: marks(shared..<example.tokens.count)))
        tokenCount += example.tokens.count - shared
        if let parent = full.last {
            nodes[parent].children.append(nodes.count - 1)
        } else {
            roots.append(nodes.count - 1)
        }
    }

    private mutating func split(_ node: Int, at length: Int) {
        let whole = nodes[node]
        nodes.append(
            Node(
                tokens: whole.tokens.dropFirst(length), targets: Array(whole.targets[length...]),
                marks: whole.marks.filter { $0.offset >= length }.map {
                    Mark(offset: $0.offset - length, sample: $0.sample, place: $0.place)
                },
                children: whole.children))
        nodes[node] = Node(
            tokens: whole.tokens.prefix(length), targets: Array(whole.targets[..<length]),
            marks: whole.marks.filter { $0.offset < length }, children: [nodes.count - 1])
    }

    /// The tree as a row: each segment before what goes on from it.
    var row: PackedRow {
        var row = PackedRow()
        row.sampleTokens = sampleTokens
        var places = streamed.map { [Int?](repeating: nil, count: $0.tokens.count) }
        var open: [(node: Int, parent: Int?, last: Int?)] = roots.reversed().map { ($0, nil, nil) }
        while let (index, parent, last) = open.popLast() {
            let node = nodes[index]
            let offset = row.tokens.count
            for (place, (token, count)) in zip(node.tokens, node.targets).enumerated() {
                // The first token of a sample is predicted by nothing.
                if let before = place > 0 ? offset + place - 1 : last {
                    row.predicting += Array(repeating: before, count: count)
                    row.targets += Array(repeating: token, count: count)
                }
            }
            for mark in node.marks {
                places[mark.sample][mark.place] = mark.offset > 0 ? offset + mark.offset - 1 : last
            }
            row.tokens += node.tokens
            row.segments.append(RowSegment(length: node.tokens.count, parent: parent))
            let here = row.segments.count - 1
            open += node.children.reversed().map { ($0, here, row.tokens.count - 1) }
        }
        row.streams = StreamTargets(streamed, places: places)
        return row
    }

    /// Samples that share more with one another than all samples do, by their numbers; each group in the
    /// order of its texts, so that neighbours share the most when a group is too large for one row.
    static func kin(among examples: [TrainingExample]) -> [[Int]] {
        let sorted = examples.indices.sorted {
            examples[$0].tokens.lexicographicallyPrecedes(examples[$1].tokens)
        }
        guard let first = sorted.first, let last = sorted.last else { return [] }
        // What the first and the last in order share, all share.
        let common = commonLength(examples[first].tokens[...], examples[last].tokens[...])
        var groups: [[Int]] = []
        var previous: Int?
        for index in sorted {
            let tokens = examples[index].tokens
            let own = previous.map { commonLength(examples[$0].tokens[...], tokens[...]) - common } ?? 0
            if own >= max(shortestShare, (tokens.count - common) / 4) {
                groups[groups.count - 1].append(index)
            } else {
                groups.append([index])
            }
            previous = index
        }
        return groups.sorted { ($0.min() ?? 0) < ($1.min() ?? 0) }
    }
}
