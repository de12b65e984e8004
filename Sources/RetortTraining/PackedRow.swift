import RetortCore
import RetortLLM

/// Several samples in one row, without padding and without a shared beginning twice.
public struct PackedRow: Sendable, Equatable {
    /// The tokens, segment by segment.
    public var tokens: [Int32] = []
    /// Samples, or the trees of segments that they are made of.
    public var segments: [RowSegment] = []
    /// Positions in `tokens` that predict a target: the token before it in its sample.
    public var predicting: [Int] = []
    /// The targets, one for each element of `predicting`.
    public var targets: [Int32] = []
    /// The samples' tokens in all, as if nothing were shared.
    public var sampleTokens = 0

    public init() {}

    /// Adds a sample at the end, sharing nothing.
    public mutating func append(_ example: TrainingExample) {
        let offset = tokens.count
        tokens += example.tokens
        segments.append(RowSegment(length: example.tokens.count))
        sampleTokens += example.tokens.count
        for index in example.tokens.indices.dropFirst() where example.trainable[index] {
            predicting.append(offset + index - 1)
            targets.append(example.tokens[index])
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
    private var rows: [PackedRow]
    private var position = 0

    public init(_ examples: [TrainingExample], epochs: Int, rowTokens: Int, seed: UInt64) {
        rows = []
        let kin = PrefixTree.kin(among: examples)
        for epoch in 0..<epochs {
            var generator = SeededGenerator(seed: seed, "epoch \(epoch)")
            let order = kin.shuffled(using: &generator).joined()
            rows += Self.pack(order.map { examples[$0] }, rowTokens: rowTokens)
        }
    }

    /// First fit over the rows still open: few enough that the shuffled order hardly changes.
    static func pack(_ examples: [TrainingExample], rowTokens: Int, open limit: Int = 4) -> [PackedRow] {
        var done: [PackedRow] = []
        var open: [PrefixTree] = []
        for example in examples {
            if let fit = open.firstIndex(where: { $0.tokenCount + $0.cost(of: example) <= rowTokens }) {
                open[fit].insert(example)
                continue
            }
            if open.count == limit { done.append(open.removeFirst().row) }
            var tree = PrefixTree()
            tree.insert(example)
            open.append(tree)
        }
        return done + open.map(\.row)
    }

    public var rowCount: Int? { rows.count }

    public mutating func next() -> PackedRow? {
        guard position < rows.count else { return nil }
        defer { position += 1 }
        return rows[position]
    }
}

/// Documents packed in the order they come, a row as soon as it is full, until `rowCount` rows are made.
public struct StreamRows<Documents: IteratorProtocol>: RowSource where Documents.Element == TrainingExample {
    private var documents: Documents
    private let rowTokens: Int
    private var left: Int
    public let rowCount: Int?
    private var held: TrainingExample?

    public init(_ documents: Documents, rows: Int, rowTokens: Int) {
        self.documents = documents
        self.rowTokens = rowTokens
        left = rows
        rowCount = rows
    }

    public mutating func next() -> PackedRow? {
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
