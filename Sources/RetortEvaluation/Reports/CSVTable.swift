import Foundation

/// The figures as comma-separated values (RFC 4180), one line for each cell.
package enum CSVTable {
    /// A line of column names, then the cells; a figure that is unknown is an empty field.
    package static func render(_ summary: EvaluationSummary) -> String {
        let head = [
            "student", "system", "parameters", "benchmark", "family", "n", "correct_percent", "low", "high", "f1",
            "code_error_percent", "parse_error_percent", "tool_calls", "steps", "prompt_tokens", "completion_tokens",
            "seconds", "tokens_per_correct", "seconds_per_correct", "timeout_percent", "tool_error_percent",
        ]
        let rows = summary.cells.map(row)
        return ([head] + rows).map { $0.map(quoted).joined(separator: ",") + "\r\n" }.joined()
    }

    private static func row(_ cell: EvaluationSummary.Cell) -> [String] {
        func text(_ value: Double?) -> String { value.map { String($0) } ?? "" }
        let names = [cell.student ?? "", cell.system, String(cell.parameters), cell.split, cell.family.rawValue]
        let figures: [Double?] = [
            cell.accuracy, cell.low, cell.high, cell.f1, cell.codeErrorRate, cell.parseErrorRate, cell.toolCalls,
            cell.steps, cell.promptTokens, cell.completionTokens, cell.seconds, cell.tokensPerCorrect,
            cell.secondsPerCorrect, cell.timeoutRate, cell.toolErrorRate,
        ]
        return names + [String(cell.n)] + figures.map(text)
    }

    private static func quoted(_ field: String) -> String {
        guard field.contains(where: { ",\"\r\n".contains($0) || $0 == "\r\n" }) else { return field }
        return "\"\(field.replacing("\"", with: "\"\""))\""
    }
}
