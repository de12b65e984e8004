import RetortCore

/// The figures of agents that call APIs: one cell for each system, search and split.
public struct ToolUseSummary: Codable, Sendable, Hashable {
    /// One system on one kind of task. Rates are percentages, 0 to 100.
    public struct Cell: Codable, Sendable, Hashable {
        /// The curriculum it was trained by.
        public var system: String
        public var student: String
        /// `greedy` or `depthFirst`.
        public var search: String
        /// `free`, or `grammar` for outputs that were held to one.
        public var outputs: String
        /// Teacher's tasks it was trained on.
        public var tasks: Int
        /// Whether it was trained on a part of the tasks, for the curve of data.
        public var isScaled: Bool
        /// `in`: APIs that training tasks have; `out`: others.
        public var split: String
        /// Solved, or rightly given up, with the 95 % interval (Wilson).
        public var pass: Double
        public var low: Double
        public var high: Double
        /// Runs.
        public var n: Int
        /// The same on the tasks that can be solved, and on those that cannot.
        public var solvablePass: Double
        public var unsolvablePass: Double
        /// Of calls: names that were not offered, arguments that the schema refuses.
        public var inventedNames: Double
        public var invalidInputs: Double
        /// Of turns: those that could not be read.
        public var unreadableTurns: Double
        /// Means for each task.
        public var calls: Double
        public var completionTokens: Double
        public var seconds: Double
        /// Passes by task, for paired tests.
        public var passes: [String: Bool]
    }

    /// In the order of evaluation.
    public var cells: [Cell] = []
    /// What graders beside the one that decides say; nil where there are none.
    public var also: [OtherGrades]?
    /// The stages of which something failed; nil when nothing did.
    public var partial: [PartialStage]?
    /// How the weights of the models that answered in this process were held; nil in summaries from before that was noted.
    public var models: [ModelPrecision]?

    public init() {}

    /// Adds a system's cells, one for each split it was given.
    public mutating func add(
        system: String, student: String, search: String, outputs: String, tasks: Int, isScaled: Bool,
        _ records: [ToolUseRecord]
    ) {
        for split in Set(records.map(\.task.split)).sorted() {
            let own = records.filter { $0.task.split == split }
            let passes = Proportion(successes: own.count { $0.isPass }, count: own.count)
            func percent(_ part: Int, of whole: Int) -> Double { whole > 0 ? 100 * Double(part) / Double(whole) : 0 }
            func rate(_ records: [ToolUseRecord]) -> Double {
                percent(records.count { $0.isPass }, of: records.count)
            }
            func sum(_ value: (ToolUseRecord) -> Int) -> Int { own.reduce(0) { $0 + value($1) } }
            let (calls, n) = (sum(\.calls), Double(own.count))
            cells.append(
                Cell(
                    system: system, student: student, search: search, outputs: outputs, tasks: tasks,
                    isScaled: isScaled, split: split,
                    pass: 100 * passes.value, low: 100 * passes.interval.low, high: 100 * passes.interval.high,
                    n: own.count, solvablePass: rate(own.filter(\.task.isSolvable)),
                    unsolvablePass: rate(own.filter { !$0.task.isSolvable }),
                    inventedNames: percent(sum(\.inventedNames), of: calls),
                    invalidInputs: percent(sum(\.invalidInputs), of: calls),
                    unreadableTurns: percent(sum(\.unreadableTurns), of: sum(\.turns)),
                    calls: Double(calls) / n, completionTokens: Double(sum(\.usage.completionTokens)) / n,
                    seconds: own.reduce(0) { $0 + $1.usage.seconds } / n,
                    passes: Dictionary(own.map { ($0.task.id, $0.isPass) }, uniquingKeysWith: { first, _ in first })))
        }
    }

    /// The exact McNemar test of two systems on the tasks of a split; nil when they were not both measured.
    public func paired(_ first: Cell, _ second: Cell) -> PairedTest? {
        guard first.split == second.split, !first.passes.isEmpty else { return nil }
        let both = first.passes.keys.filter { second.passes[$0] != nil }
        return PairedTest(
            onlyFirst: both.count { first.passes[$0] == true && second.passes[$0] == false },
            onlySecond: both.count { first.passes[$0] == false && second.passes[$0] == true })
    }
}
