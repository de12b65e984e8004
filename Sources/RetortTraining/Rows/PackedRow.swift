import RetortCore
import RetortLLM

/// Several samples in one row, without padding and without a shared beginning twice.
public struct PackedRow: Codable, Sendable, Equatable {
    /// The tokens, segment by segment.
    public var tokens: [Int32] = []
    /// Samples, or the trees of segments that they are made of.
    public var segments: [RowSegment] = []
    /// Positions in `tokens` that predict a target: the token before it in its sample.
    public var predicting: [Int] = []
    /// The targets, one for each element of `predicting`.
    public var targets: [Int32] = []
    /// Targets of other weights than one, and of other losses than the cross-entropy.
    public var streams = StreamTargets()
    /// The samples' tokens in all, as if nothing were shared.
    public var sampleTokens = 0

    /// A row without samples.
    public init() {}

    /// Adds a sample at the end, sharing nothing.
    public mutating func append(_ example: TrainingExample) {
        let offset = tokens.count
        tokens += example.tokens
        segments.append(RowSegment(length: example.tokens.count))
        sampleTokens += example.tokens.count
        guard example.isPlain else {
            let places = example.tokens.indices.map { $0 > 0 ? offset + $0 - 1 : nil }
            streams = StreamTargets(streams, and: example, places: places)
            return
        }
        for index in example.tokens.indices.dropFirst() where example.weights[index] != 0 {
            predicting.append(offset + index - 1)
            targets.append(example.tokens[index])
        }
    }

    /// Whether anything is learned from it.
    var isLearned: Bool { !targets.isEmpty || !streams.isEmpty }

    /// How many tokens are learned from.
    var targetCount: Int { targets.count + streams.targetCount }

    /// How much there is of each kind of loss.
    var counts: ByLossKind<Int> {
        var counts = streams.counts
        counts[.imitation] += targets.count
        return counts
    }
}

extension Sequence<PackedRow> {
    /// How much there is of each kind of loss.
    var counts: ByLossKind<Int> {
        reduce(into: ByLossKind(repeating: 0)) { all, row in
            let counts = row.counts
            for kind in LossKind.allCases { all[kind] += counts[kind] }
        }
    }
}

/// Yields the rows of a run, one after the other, the same for the same seed.
public protocol RowSource {
    /// The next row, or nil at the end of the data.
    mutating func next() throws -> PackedRow?
    /// How many rows there are in all, when that is known.
    var rowCount: Int? { get }
}

/// Samples in a fresh seeded order for each epoch, packed into rows of at most `rowTokens` tokens.
///
/// Samples that begin alike stay together, so that a row holds what they share once (`PrefixTree`).
public struct EpochRows: RowSource {
    private(set) var rows: [PackedRow]
    private var position = 0

    /// - Parameters:
    ///   - rowTokens: the most tokens of a row.
    ///   - seed: of each epoch's order.
    public init(_ examples: [TrainingExample], epochs: Int, rowTokens: Int, seed: UInt64) {
        rows = []
        let units = Self.units(examples)
        let kin = PrefixTree.kin(among: units.compactMap(\.first))
        for epoch in 0..<epochs {
            var generator = SeededGenerator(seed: seed, "epoch \(epoch)")
            let order = kin.shuffled(using: &generator).joined()
            rows += Self.pack(order.map { units[$0] }, rowTokens: rowTokens)
        }
    }

    /// As a configuration says.
    public init(_ examples: [TrainingExample], _ configuration: TrainingConfiguration) {
        self.init(
            examples, epochs: configuration.epochs, rowTokens: configuration.rowTokens, seed: configuration.seed)
    }

    /// What belongs into one row, in the order of its first sample.
    static func units(_ examples: [TrainingExample]) -> [[TrainingExample]] {
        var units: [[TrainingExample]] = []
        var known: [String: Int] = [:]
        for example in examples {
            if let unit = example.unit {
                if let index = known[unit] {
                    units[index].append(example)
                    continue
                }
                known[unit] = units.count
            }
            units.append([example])
        }
        return units
    }

    /// First fit over the rows still open: few enough that the shuffled order hardly changes.
    static func pack(_ units: [[TrainingExample]], rowTokens: Int, open limit: Int = 4) -> [PackedRow] {
        var done: [PackedRow] = []
        var open: [PrefixTree] = []
        for unit in units {
            if let fit = open.firstIndex(where: { $0.tokenCount + $0.cost(of: unit) <= rowTokens }) {
                for example in unit { open[fit].insert(example) }
                continue
            }
            if open.count == limit { done.append(open.removeFirst().row) }
            var tree = PrefixTree()
            for example in unit { tree.insert(example) }
            open.append(tree)
        }
        return done + open.map(\.row)
    }

    /// Rows of all epochs.
    public var rowCount: Int? { rows.count }

    /// The next row; nil after the last.
    public mutating func next() -> PackedRow? {
        guard position < rows.count else { return nil }
        defer { position += 1 }
        return rows[position]
    }
}

/// Documents packed in the order they come, a row as soon as it is full, until `rowCount` rows are made.
package struct StreamRows<Documents: IteratorProtocol>: RowSource where Documents.Element == TrainingExample {
    private var documents: Documents
    private let rowTokens: Int
    private var left: Int
    /// How many rows are made at most.
    package let rowCount: Int?
    private var held: TrainingExample?

    /// - Parameter rows: how many are made at most.
    package init(_ documents: Documents, rows: Int, rowTokens: Int) {
        self.documents = documents
        self.rowTokens = rowTokens
        left = rows
        rowCount = rows
    }

    /// The next row; nil after the last.
    package mutating func next() -> PackedRow? {
        guard left > 0 else { return nil }
        left -= 1
        var row = PackedRow()
        while let example = held ?? documents.next() {
            held = nil
            if !row.tokens.isEmpty, row.tokens.count + example.tokens.count > rowTokens {
                held = example
                break
            }
            row.append(example)
        }
        return row.tokens.isEmpty ? nil : row
    }
}
