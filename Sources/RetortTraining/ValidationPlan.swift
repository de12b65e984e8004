import RetortCore

/// When the loss on held-out samples is taken, and what follows from it.
public struct ValidationPlan: Codable, Sendable, Hashable {
    /// Whose weights a run ends with.
    public enum Kept: String, Codable, Sendable, CaseIterable {
        /// Those of the update with the smallest loss on the held-out samples.
        case best
        /// Those of the last update.
        case last
    }

    /// Updates between two looks. The weights before the first update and those after the last are looked at in any case.
    public var every: Int
    /// So many looks without a smaller loss end the run; nil goes on to the end.
    public var patience: Int?
    /// Whose weights the run ends with.
    public var keeps: Kept

    /// - Parameters:
    ///   - every: updates between two looks.
    ///   - patience: looks without a better loss that end the training; nil goes on to the end.
    public init(every: Int, patience: Int? = nil, keeps: Kept = .best) {
        self.every = every
        self.patience = patience
        self.keeps = keeps
    }

    /// Whether the weights after an update are looked at.
    func isDue(after update: Int, of total: Int) -> Bool { update % max(every, 1) == 0 || update >= total }
}

/// The losses on held-out samples that a run has seen so far.
public struct ValidationCurve: Codable, Sendable, Hashable {
    /// One look.
    public struct Point: Codable, Sendable, Hashable {
        /// How many updates were done.
        public var update: Int
        /// The mean cross-entropy of the held-out targets, in nats.
        public var loss: Double

        /// - Parameter loss: in nats a target token.
        public init(update: Int, loss: Double) {
            self.update = update
            self.loss = loss
        }
    }

    /// In the order of the updates.
    public private(set) var points: [Point]

    /// A curve with these points.
    public init(_ points: [Point] = []) { self.points = points }

    /// The first look with the smallest loss; nil before the first look.
    public var best: Point? { points.min { ($0.loss, $0.update) < ($1.loss, $1.update) } }

    /// How many looks have followed the best one.
    public var looksSinceBest: Int { best.map { best in points.count { $0.update > best.update } } ?? 0 }

    /// Adds a look.
    /// - Returns: whether it is the best so far.
    mutating func add(_ point: Point) -> Bool {
        points.append(point)
        return best == point
    }
}

/// Samples that are never trained on, packed as training samples are: the same loss mask, no dropout, always the same rows.
public struct HeldOutSamples: Sendable {
    let rows: [PackedRow]
    /// How many tokens the loss is taken over.
    public let targets: Int

    /// - Parameter rowTokens: the most tokens in a packed row.
    public init(_ examples: [TrainingExample], rowTokens: Int) {
        let units = EpochRows.units(examples)
        let order = PrefixTree.kin(among: units.compactMap(\.first)).joined()
        rows = EpochRows.pack(order.map { units[$0] }, rowTokens: rowTokens).filter(\.isLearned)
        targets = rows.reduce(0) { $0 + $1.targetCount }
    }
}
