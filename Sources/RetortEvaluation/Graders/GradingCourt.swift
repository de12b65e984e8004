import RetortCore

/// Two graders that decide independently: the grader at hand, and Math-Verify. The first one's verdict counts; where
/// they differ is worth a look.
public struct GradingCourt: Sendable {
    /// A pair on which they differ.
    public struct Disagreement: Codable, Sendable, Hashable {
        public let prediction: String
        public let reference: String
        public let verdict: Verdict
        public let second: SymbolicJudge.Opinion
    }

    private let first: any Grader
    private let second: SymbolicJudge

    public init(_ first: any Grader, second: SymbolicJudge) {
        (self.first, self.second) = (first, second)
    }

    /// Grades an answer, and asks Math-Verify about mathematical ones.
    public func grade(
        _ answer: String?, for task: AgentTask
    ) async throws -> (verdict: Verdict, second: SymbolicJudge.Opinion?, disagreement: Disagreement?) {
        let verdict = await first.grade(answer, for: task)
        guard task.family == .math, let answer, let reference = task.answers.first else { return (verdict, nil, nil) }
        let opinion = try await second.verify(reference: reference, answer: answer)
        guard (opinion.isEqual ?? false) != verdict.isCorrect else { return (verdict, opinion, nil) }
        return (
            verdict, opinion,
            Disagreement(prediction: answer, reference: reference, verdict: verdict, second: opinion)
        )
    }
}
