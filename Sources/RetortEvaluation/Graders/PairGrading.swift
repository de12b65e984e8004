import RetortCore

/// Grades pairs of answer and reference, and also asks the second deciders where they are given: Math-Verify about
/// mathematical answers, a judge about factual ones.
package struct PairGrading: Sendable {
    private let grader: any Grader
    private let graders: TwoGraders?
    private let judge: ModelJudge?

    /// - Parameters:
    ///   - second: also decides mathematical answers; nil asks nobody.
    ///   - judge: also decides factual answers; nil takes the verdicts that the pairs contain.
    package init(_ grader: any Grader, second: SymbolicJudge? = nil, judge: ModelJudge? = nil) {
        self.grader = grader
        graders = second.map { TwoGraders(grader, second: $0) }
        self.judge = judge
    }

    /// Grades all pairs, several at a time; the results are in the pairs' order.
    /// - Throws: what Math-Verify's sandbox throws, and errors of the judge that halt a run; any other failure of the
    ///   judge is the pair's `judgeFault`.
    package func grade(_ pairs: [AnswerPair]) async throws -> [GradedPair] {
        try await concurrentMap(pairs, width: judge == nil ? 4 : 32) { try await grade($0) }
    }

    private func grade(_ pair: AnswerPair) async throws -> GradedPair {
        var graded = GradedPair(pair)
        if let graders {
            let (verdict, opinion, disagreement) = try await graders.grade(pair.prediction, for: pair.task)
            graded.take(verdict)
            (graded.second, graded.disagreement) = (opinion, disagreement)
        } else {
            graded.take(await grader.grade(pair.prediction, for: pair.task))
        }
        guard pair.kind == .factual else { return graded }
        graded.f1 = ExactGrader.f1(pair.prediction ?? "", pair.references)
        graded.judge = pair.judge
        guard let judge else { return graded }
        do {
            graded.judge = try await judge.judge(pair.prediction, for: pair.task)
        } catch {
            if error is CancellationError || (error as? any RunHalting)?.haltsRun == true { throw error }
            graded.judge = nil
            graded.judgeFault = "\(error)"
        }
        return graded
    }
}

/// A pair with everything that was decided about it.
public struct GradedPair: Codable, Sendable {
    /// The answer; nil where none was given.
    public let prediction: String?
    /// The accepted reference answers.
    public let references: [String]
    /// How it was graded.
    public let kind: AgentTask.Family
    /// Whether the grader accepts it: by value, or by exact match for a factual answer.
    public private(set) var correct = false
    /// The grader's reason.
    public private(set) var reason = ""
    /// A factual answer's word overlap, in 0…1; nil for others.
    public fileprivate(set) var f1: Double?
    /// Math-Verify's opinion; nil where it was not asked.
    public fileprivate(set) var second: SymbolicJudge.Opinion?
    /// The judge's verdict on a factual answer; nil where there is none.
    public fileprivate(set) var judge: Verdict?
    /// Why the judge gave no verdict; nil where it did or was not asked.
    public fileprivate(set) var judgeFault: String?
    /// The disagreement with Math-Verify, where there is one; it is not encoded.
    public fileprivate(set) var disagreement: TwoGraders.Disagreement?

    private enum CodingKeys: String, CodingKey {
        case prediction, references, kind, correct, reason, f1, second, judge, judgeFault
    }

    fileprivate init(_ pair: AnswerPair) {
        (prediction, references, kind) = (pair.prediction, pair.references, pair.kind)
    }

    fileprivate mutating func take(_ verdict: Verdict) { (correct, reason) = (verdict.isCorrect, verdict.reason) }
}

extension JudgeAgreement {
    /// The agreement on the factual pairs that have a judge's verdict; nil without any.
    public init?(_ pairs: [GradedPair]) {
        self.init(
            pairs.compactMap { pair in
                pair.judge.map { Opinion(isExact: pair.correct, f1: pair.f1 ?? 0, isJudgedCorrect: $0.isCorrect) }
            })
    }
}
