import RetortCore

/// α-UMi's static metrics (arXiv 2401.07324, section 4.2): single turns from the reference's history; no tool is
/// called.
///
/// The definitions follow the published evaluation exactly: a call of another function scores 0 in both the easy and
/// the hard arguments; `Hallu.` divides by all turns; R-L is that of the package `rouge`. Intervals resample whole
/// trajectories, because the turns of one are alike.
public struct StaticScores: Codable, Sendable, Hashable {
    /// The results for the turns with one reference decision.
    public struct Decision: Codable, Sendable, Hashable {
        /// The reference's decision: `call`, `finish` or `give up`.
        public let decision: String
        /// The number of turns.
        public let turns: Int
        /// The share of predictions with the same decision, in 0…1.
        public let planACC: Estimate
        /// How often each decision was predicted.
        public let predicted: [String: Int]
    }

    /// The number of trajectories.
    public let trajectories: Int
    /// The number of turns.
    public let turns: Int
    /// The share of turns with the reference's decision, in 0…1.
    public let planACC: Estimate
    /// Of the turns whose reference is a call, the share with the same name; nil without such turns.
    public let actEM: Estimate?
    /// The share of all turns that call a name that was not offered.
    public let hallucination: Estimate
    /// The arguments' F1 over all calls whose reference is valid JSON; nil without such calls.
    public let argF1: Estimate?
    /// The same over references without arguments.
    public let easyF1: Estimate?
    /// The same over references with arguments.
    public let hardF1: Estimate?
    /// ROUGE-L's F over turns whose reference is an answer; nil without such turns.
    public let rougeL: Estimate?
    /// The results by the reference's decision.
    public let decisions: [Decision]
    /// Predicted calls without the end-of-sequence mark, which the original cannot read.
    public let unmarked: Int

    /// - Parameter predictions: what was said in each turn, in the form of `StaticTurn.reference`.
    /// - Throws: `StaticTestError` when there are none, or not one for each turn.
    public init(_ turns: [StaticTurn], predictions: [String]) throws {
        guard !predictions.isEmpty else { throw StaticTestError.noPredictions }
        guard predictions.count == turns.count else {
            throw StaticTestError.otherCount(predictions: predictions.count, turns: turns.count)
        }
        var sums = Sums()
        for (turn, prediction) in zip(turns, predictions) { sums.add(turn, prediction) }
        let bootstrap = ClusterBootstrap()
        guard let plan = bootstrap.estimate(sums.plan), let invented = bootstrap.estimate(sums.invented) else {
            throw StaticTestError.noTurns
        }
        self.turns = turns.count
        trajectories = Set(turns.map(\.trajectory)).count
        planACC = plan
        hallucination = invented
        actEM = bootstrap.estimate(sums.action)
        argF1 = bootstrap.estimate(sums.arguments)
        easyF1 = bootstrap.estimate(sums.easy)
        hardF1 = bootstrap.estimate(sums.hard)
        rougeL = bootstrap.estimate(sums.rouge)
        unmarked = sums.unmarked
        decisions = StaticReading.Plan.allCases.compactMap { decision in
            guard let predicted = sums.predicted[decision],
                let share = bootstrap.estimate(sums.planByDecision[decision] ?? [])
            else { return nil }
            return Decision(
                decision: decision.rawValue, turns: share.count, planACC: share,
                predicted: Dictionary(uniqueKeysWithValues: predicted.map { ($0.key.rawValue, $0.value) }))
        }
    }

    /// The values of each metric, with their trajectories.
    private struct Sums {
        typealias Values = [(group: Int, value: Double)]

        var (plan, invented, action): (Values, Values, Values) = ([], [], [])
        var (arguments, easy, hard, rouge): (Values, Values, Values, Values) = ([], [], [], [])
        var planByDecision: [StaticReading.Plan: Values] = [:]
        var predicted: [StaticReading.Plan: [StaticReading.Plan: Int]] = [:]
        var unmarked = 0

        mutating func add(_ turn: StaticTurn, _ text: String) {
            let (reference, prediction) = (StaticReading(turn.reference), StaticReading(text))
            func score(_ value: Double) -> (group: Int, value: Double) { (turn.trajectory, value) }
            let isSame = score(reference.plan == prediction.plan ? 1 : 0)
            plan.append(isSame)
            planByDecision[reference.plan, default: []].append(isSame)
            predicted[reference.plan, default: [:]][prediction.plan, default: 0] += 1
            if prediction.plan == .call, !text.contains("</s>") { unmarked += 1 }
            let isInvented = prediction.action.map { $0 != "none" && !turn.tools.contains(exactly: $0) } ?? false
            invented.append(score(isInvented ? 1 : 0))
            if let answer = reference.answer {
                rouge.append(score(RougeL.f(prediction.answer ?? "none", reference: answer)))
            }
            guard let name = reference.action, let input = reference.input else { return }
            guard Array((prediction.action ?? "none").utf8) == Array(name.utf8) else {
                action.append(score(0))
                for list in [\Sums.arguments, \.easy, \.hard] { self[keyPath: list].append(score(0)) }
                return
            }
            action.append(score(1))
            switch ArgumentMatch(prediction.input ?? "{}", reference: input) {
            case .leftOut: break
            case .easy(let value):
                easy.append(score(value))
                arguments.append(score(value))
            case .hard(let value):
                hard.append(score(value))
                arguments.append(score(value))
            }
        }
    }

    /// Reads predictions: texts, or objects with `prediction` or, as in the original's files, `predictions`.
    /// - Throws: `StaticTestError`, which names the record.
    public static func predictions(_ records: [JSONValue]) throws -> [String] {
        guard !records.isEmpty else { throw StaticTestError.noPredictions }
        return try records.enumerated().map { index, record in
            guard let text = record.string ?? record["prediction"]?.string ?? record["predictions"]?.string else {
                throw StaticTestError.notAPrediction(record: index + 1)
            }
            return text
        }
    }
}

extension Set<String> {
    /// Whether it contains a text of exactly the same code points.
    fileprivate func contains(exactly text: String) -> Bool {
        firstIndex(of: text).map { Array(self[$0].utf8) == Array(text.utf8) } ?? false
    }
}
