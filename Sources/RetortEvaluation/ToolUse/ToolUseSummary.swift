import RetortCore

/// The figures of agents that call APIs: one cell for each system, search and split.
public struct ToolUseSummary: Codable, Sendable, Hashable {
    /// One system on one kind of task. Rates are percentages, 0 to 100.
    public struct Cell: Codable, Sendable, Hashable {
        /// The curriculum that it was trained with.
        public var system: String
        /// The student's name.
        public var student: String
        /// `greedy` or `depthFirst`.
        public var search: String
        /// `free`, or `grammar` for outputs that were held to a grammar.
        public var outputs: String
        /// How many of the teacher's tasks it was trained on.
        public var tasks: Int
        /// Whether it was trained on only a part of the tasks, for the data curve.
        public var isScaled: Bool
        /// `in`: APIs that occur in training tasks; `out`: others.
        public var split: String
        /// The percentage of tasks solved, or rightly given up.
        public var pass: Double
        /// The lower end of its 95 % interval (Wilson).
        public var low: Double
        /// The upper end.
        public var high: Double
        /// The number of runs.
        public var n: Int
        /// The percentage passed of the tasks that can be solved; 0 without such tasks.
        public var solvablePass: Double
        /// The percentage rightly given up of the tasks that cannot be solved; 0 without such tasks.
        public var unsolvablePass: Double
        /// The percentage of calls whose name was not offered.
        public var inventedNames: Double
        /// The percentage of calls whose arguments the schema refuses.
        public var invalidInputs: Double
        /// The percentage of turns that could not be read.
        public var unreadableTurns: Double
        /// Mean calls for each task.
        public var calls: Double
        /// Mean tokens written for each task.
        public var completionTokens: Double
        /// Mean seconds of the model for each task.
        public var seconds: Double
        /// Whether each task passed, by its id; for paired tests.
        public var passes: [String: Bool]
    }

    /// The cells in the order of evaluation.
    public var cells: [Cell] = []
    /// The results of graders that do not decide; nil where there are none.
    public var also: [OtherGrades]?
    /// The stages in which something failed; nil when nothing did.
    public var partial: [PartialStage]?
    /// The precision of the weights of models that ran in this process; nil in older summaries.
    public var models: [ModelPrecision]?

    /// A summary without cells.
    public init() {}

    /// Adds a system's cells, one for each split among its records.
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

    /// The exact McNemar test of two systems on their common tasks; nil for different splits or without tasks.
    public func paired(_ first: Cell, _ second: Cell) -> PairedTest? {
        guard first.split == second.split, !first.passes.isEmpty else { return nil }
        let both = first.passes.keys.filter { second.passes[$0] != nil }
        return PairedTest(
            onlyFirst: both.count { first.passes[$0] == true && second.passes[$0] == false },
            onlySecond: both.count { first.passes[$0] == false && second.passes[$0] == true })
    }
}
