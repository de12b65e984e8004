import RetortAgents
import RetortCore

/// Detects whether an agent stated the reference answer before anything had shown it: it was told the answer, or
/// remembers it, and a student would learn to make answers up.
enum AnswerLeak {
    /// Shorter answers, and these, occur by chance.
    private static let shortest = 3
    private static let common: Set<String> = ["yes", "no", "true", "false", "none"]

    /// - Complexity: linear in the trajectory's text.
    static func isIn(_ trajectory: Trajectory) -> Bool {
        let task = trajectory.task
        let secrets = task.answers.filter { answer in
            answer.count >= shortest && !common.contains(answer.lowercased()) && !task.question.containsWord(answer)
        }
        guard !secrets.isEmpty else { return false }
        var shown = ""
        for step in trajectory.steps {
            let hidden = secrets.filter { !shown.containsWord($0) }
            if hidden.isEmpty { return false }
            if task.family == .factual {
                let said = "\(step.thought)\n\(step.action.code ?? "")"
                if hidden.contains(where: said.containsWord) { return true }
            } else if let literal = step.action.code.flatMap(literalAnswer), hidden.contains(literal) {
                // Intermediate results may be found by mental arithmetic; an answer that nothing computed is different.
                return true
            }
            shown += "\n\(step.observation.text)"
        }
        return false
    }

    /// The answer of a program that only answers with a literal; nil for other programs.
    static func literalAnswer(_ program: String) -> String? {
        let text = program.split(whereSeparator: \.isNewline).map { $0.drop(while: \.isWhitespace) }
            .filter { !$0.isEmpty && !$0.hasPrefix("#") }
        guard text.count == 1, let line = text.first, line.hasPrefix("final_answer("), line.hasSuffix(")") else {
            return nil
        }
        let inner = line.dropFirst("final_answer(".count).dropLast()
        if let quote = inner.first, "\"'".contains(quote), inner.count >= 2, inner.last == quote {
            return String(inner.dropFirst().dropLast())
        }
        return Double(inner) == nil ? nil : String(inner)
    }
}
