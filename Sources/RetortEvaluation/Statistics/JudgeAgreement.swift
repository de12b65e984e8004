import RetortCore

/// How exact match and word overlap agree with a judge on the same factual answers.
///
/// The judge recognises what a comparison of words cannot: `J. F. Kennedy` for `John Kennedy`. Where they differ, one
/// of them is wrong, and the answer is worth a look.
public struct JudgeAgreement: Codable, Sendable, Hashable {
    /// The three verdicts on one answer.
    public struct Opinion: Sendable, Hashable {
        /// Whether it matches a reference exactly.
        public let isExact: Bool
        /// Word overlap, in 0…1.
        public let f1: Double
        /// Whether the judge takes it for correct.
        public let isJudgedCorrect: Bool

        /// An answer's three verdicts.
        public init(isExact: Bool, f1: Double, isJudgedCorrect: Bool) {
            (self.isExact, self.f1, self.isJudgedCorrect) = (isExact, f1, isJudgedCorrect)
        }
    }

    /// A share or mean in percent with its 95 % interval.
    public struct Figure: Codable, Sendable, Hashable {
        /// In percent.
        public let value: Double
        /// The lower end of the interval.
        public let low: Double
        /// The upper end.
        public let high: Double
    }

    /// The number of judged answers.
    public let n: Int
    /// The share of exact matches.
    public let exactMatch: Figure
    /// The mean word overlap.
    public let f1: Figure
    /// The share that the judge takes for correct.
    public let judge: Figure
    /// Answers that both exact match and the judge take for correct.
    public let bothCorrect: Int
    /// Answers that match exactly, but that the judge takes for wrong.
    public let onlyExact: Int
    /// Answers that only the judge takes for correct.
    public let onlyJudge: Int
    /// Answers that both take for wrong.
    public let neither: Int
    /// The percentage of answers on which exact match and the judge agree.
    public let agreement: Double
    /// Cohen's kappa (J. Cohen, Educational and Psychological Measurement 20, 1960): 1 is full agreement, 0 is chance.
    /// Nil where chance alone would agree fully.
    public let kappa: Double?
    /// The lower end of kappa's 95 % interval, by a bootstrap over the answers; nil where most resamples have no kappa.
    public let kappaLow: Double?
    /// The upper end.
    public let kappaHigh: Double?
    /// The mean word overlap, in percent, of answers that the judge takes for correct; nil where there are none.
    public let f1WhereCorrect: Double?
    /// The mean word overlap, in percent, of answers that the judge takes for wrong; nil where there are none.
    public let f1WhereWrong: Double?
    /// How well the overlap separates the judge's correct answers from the others: the probability that a correct one
    /// has more overlap than a wrong one, ties counting half (the area under the ROC curve), in 0…1. Nil unless there
    /// are both.
    public let f1Separation: Double?

    /// Nil without opinions.
    /// - Parameter seed: for the bootstrap intervals.
    public init?(_ opinions: [Opinion], seed: UInt64 = 1) {
        guard !opinions.isEmpty else { return nil }
        n = opinions.count
        exactMatch = Self.share(opinions.count(where: \.isExact), of: n)
        judge = Self.share(opinions.count(where: \.isJudgedCorrect), of: n)
        let overlaps = opinions.map { $0.f1 * 100 }
        let mean = overlaps.reduce(0, +) / Double(n)
        let interval = Bootstrap.mean(overlaps, seed: seed)
        f1 = Figure(value: mean, low: interval?.low ?? mean, high: interval?.high ?? mean)
        let table = Table(opinions)
        (bothCorrect, onlyExact, onlyJudge, neither) = (table.both, table.first, table.second, table.neither)
        agreement = 100 * table.observed
        kappa = table.kappa
        let drawn = Self.kappas(opinions, seed: seed)
        kappaLow = drawn?.low
        kappaHigh = drawn?.high
        let right = opinions.filter(\.isJudgedCorrect).map(\.f1)
        let wrong = opinions.filter { !$0.isJudgedCorrect }.map(\.f1)
        func percent(_ values: [Double]) -> Double? {
            values.isEmpty ? nil : 100 * values.reduce(0, +) / Double(values.count)
        }
        (f1WhereCorrect, f1WhereWrong) = (percent(right), percent(wrong))
        f1Separation = Self.separation(right, wrong)
    }

    private static func share(_ part: Int, of count: Int) -> Figure {
        let share = Proportion(successes: part, count: count)
        return Figure(value: 100 * share.value, low: 100 * share.interval.low, high: 100 * share.interval.high)
    }

    /// Counts of two yes-or-no judgements.
    private struct Table {
        var (both, first, second, neither) = (0, 0, 0, 0)

        init(_ opinions: some Sequence<Opinion>) {
            for opinion in opinions {
                switch (opinion.isExact, opinion.isJudgedCorrect) {
                case (true, true): both += 1
                case (true, false): first += 1
                case (false, true): second += 1
                case (false, false): neither += 1
                }
            }
        }

        var observed: Double { Double(both + neither) / Double(both + first + second + neither) }

        var kappa: Double? {
            let n = Double(both + first + second + neither)
            let (a, b) = (Double(both + first) / n, Double(both + second) / n)
            let chance = a * b + (1 - a) * (1 - b)
            return chance < 1 ? (observed - chance) / (1 - chance) : nil
        }
    }

    private static func kappas(_ opinions: [Opinion], seed: UInt64) -> (low: Double, high: Double)? {
        var generator = SeededGenerator(seed: seed)
        var kappas = (0..<Bootstrap.rounds).compactMap { _ in
            Table((0..<opinions.count).map { _ in opinions[Int.random(in: opinions.indices, using: &generator)] }).kappa
        }
        // Resamples without a kappa are those in which both give all answers the same verdict.
        guard kappas.count > Bootstrap.rounds / 2 else { return nil }
        kappas.sort()
        return ClusterBootstrap.ends(of: kappas)
    }

    /// By ranks, in n log n for any number of answers.
    private static func separation(_ right: [Double], _ wrong: [Double]) -> Double? {
        guard !right.isEmpty, !wrong.isEmpty else { return nil }
        let sorted = wrong.sorted()
        func position(_ value: Double, inclusive: Bool) -> Int {
            var (low, high) = (0, sorted.count)
            while low < high {
                let middle = (low + high) / 2
                if sorted[middle] < value || (inclusive && sorted[middle] == value) {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            return low
        }
        let wins = right.reduce(0.0) { sum, value in
            sum + Double(position(value, inclusive: false) + position(value, inclusive: true)) / 2
        }
        return wins / (Double(right.count) * Double(wrong.count))
    }

    /// The figures as a few lines of text.
    public var text: String {
        func line(_ name: String, _ figure: Figure) -> String {
            "\(name) \(Self.one(figure.value)) (\(Self.one(figure.low))–\(Self.one(figure.high))) %"
        }
        let wide = String(max(bothCorrect, onlyExact, onlyJudge, neither)).count
        func cell(_ count: Int) -> String {
            String(repeating: " ", count: max(wide, 5) - String(count).count) + "\(count)"
        }
        let spread = kappaLow.flatMap { low in kappaHigh.map { "\(Self.two(low)) to \(Self.two($0))" } }
        let pad = String(repeating: " ", count: max(wide, 5) - 5)
        return """
            \(n) judged answers: \(line("exact match", exactMatch)), \(line("F1", f1)), \(line("judge", judge))

                              judge: \(pad)right \(pad)wrong
            exact match: right       \(cell(bothCorrect)) \(cell(onlyExact))
            exact match: wrong       \(cell(onlyJudge)) \(cell(neither))

            agreement \(Self.one(agreement)) %, Cohen's kappa \(kappa.map(Self.two) ?? "not defined")\
            \(spread.map { " (\($0))" } ?? "")
            F1 where the judge says right \(f1WhereCorrect.map(Self.one) ?? "–") %, where wrong \
            \(f1WhereWrong.map(Self.one) ?? "–") %; separation \(f1Separation.map(Self.two) ?? "–")
            """
    }

    private static func one(_ value: Double) -> String { format(value, 10) }
    private static func two(_ value: Double) -> String { format(value, 100) }
    private static func format(_ value: Double, _ scale: Double) -> String {
        let rounded = (value * scale).rounded() / scale
        return "\(rounded == 0 ? 0 : rounded)"
    }
}
