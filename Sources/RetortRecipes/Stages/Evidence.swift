import RetortAgents
import RetortCore

/// Detects whether an agent's answer was looked up or computed, or came from nowhere: small students search too little
/// when they are taught answers that nothing showed (arXiv 2604.04651).
enum Evidence {
    /// Answers so common that finding them in an observation proves nothing.
    private static let verdicts: Set<String> = ["yes", "no", "true", "false", "none"]

    static func isIn(_ trajectory: Trajectory) -> Bool {
        guard let answer = trajectory.answer else { return false }
        let words = answer.wordSet
        let isVerdict = words.count <= 1 && words.allSatisfy(verdicts.contains)
        if isVerdict { return trajectory.toolCallCount > 0 }
        let shown = trajectory.steps.dropLast().map(\.observation.text).joined(separator: "\n").wordSet
        if words.isSubset(of: shown) { return true }
        // A program that computes its answer shows nothing before it.
        guard let last = trajectory.steps.last, let program = last.action.code, AnswerLeak.literalAnswer(program) == nil
        else { return false }
        return !last.observation.toolCalls.isEmpty || !words.isSubset(of: program.wordSet)
    }
}
