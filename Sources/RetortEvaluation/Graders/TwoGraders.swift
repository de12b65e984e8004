import RetortCore

/// Two graders that decide independently: a given grader, and Math-Verify. The first one's verdict counts; their
/// disagreements are worth reviewing.
public struct TwoGraders: Sendable {
    /// A pair on which they differ.
    public struct Disagreement: Codable, Sendable, Hashable {
        /// The answer.
        public let prediction: String
        /// The first reference answer.
        public let reference: String
        /// The first grader's verdict.
        public let verdict: Verdict
        /// Math-Verify's opinion.
        public let second: SymbolicJudge.Opinion
    }

    private let first: any Grader
    private let second: SymbolicJudge

    /// A grader whose verdicts count, and Math-Verify beside it.
    public init(_ first: any Grader, second: SymbolicJudge) {
        (self.first, self.second) = (first, second)
    }

    /// Grades an answer, and asks Math-Verify about mathematical ones.
    ///
    /// Without an answer or a reference, and for other families, Math-Verify is not asked. Where it could not decide,
    /// there is no disagreement.
    /// - Throws: what SymPy's sandbox throws.
    public func grade(
        _ answer: String?, for task: AgentTask
    ) async throws -> (verdict: Verdict, second: SymbolicJudge.Opinion?, disagreement: Disagreement?) {
        let verdict = await first.grade(answer, for: task)
        guard task.family == .math, let answer, let reference = task.answers.first else { return (verdict, nil, nil) }
        let opinion = try await second.verify(reference: reference, answer: answer)
        guard let isEqual = opinion.isEqual, isEqual != verdict.isCorrect else { return (verdict, opinion, nil) }
        return (
            verdict, opinion,
            Disagreement(prediction: answer, reference: reference, verdict: verdict, second: opinion)
        )
    }
}
