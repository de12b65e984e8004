import Foundation

/// The figures as comma-separated values (RFC 4180), one line a cell.
public enum CSVTable {
    public static func render(_ summary: EvaluationSummary) -> String {
        let head = [
            "student", "system", "parameters", "benchmark", "family", "n", "correct_percent", "low", "high", "f1",
            "code_error_percent", "parse_error_percent", "tool_calls", "steps", "prompt_tokens", "completion_tokens",
            "seconds", "tokens_per_correct",
        ]
        let rows = summary.cells.map { cell in
            [
                cell.student ?? "", cell.system, String(cell.parameters), cell.split, cell.family.rawValue,
                String(cell.n),
                String(cell.accuracy), String(cell.low), String(cell.high), cell.f1.map { String($0) } ?? "",
                String(cell.codeErrorRate), String(cell.parseErrorRate), String(cell.toolCalls),
                cell.steps.map { String($0) } ?? "", String(cell.promptTokens), String(cell.completionTokens),
                String(cell.seconds), cell.tokensPerCorrect.map { String($0) } ?? "",
            ]
        }
        return ([head] + rows).map { $0.map(quoted).joined(separator: ",") + "\r\n" }.joined()
    }

    private static func quoted(_ field: String) -> String {
        guard field.contains(where: { ",\"\r\n".contains($0) || $0 == "\r\n" }) else { return field }
        return "\"\(field.replacing("\"", with: "\"\""))\""
    }
}
