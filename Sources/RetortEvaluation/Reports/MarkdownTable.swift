import Foundation
import RetortCore

/// The table of an evaluation as Markdown: a row for each system and size.
public enum MarkdownTable {
    public static func render(_ summary: EvaluationSummary) -> String {
        let columns = summary.cells.reduce(into: [Column]()) { columns, cell in
            let column = Column(family: cell.family, split: cell.split)
            if !columns.contains(column) { columns.append(column) }
        }.sorted { ($0.family.rawValue, $0.split) < ($1.family.rawValue, $1.split) }
        var lines = [
            "| parameters | system | \(columns.map(\.title).joined(separator: " | ")) "
                + "| code errors | tool calls | tokens | seconds |",
            "| ---: | --- |" + String(repeating: " ---: |", count: columns.count + 4),
        ]
        for row in rows(summary) {
            let cells = columns.map { column in
                row.cells.first { $0.family == column.family && $0.split == column.split }.map(accuracy) ?? "–"
            }
            func mean(_ value: (EvaluationSummary.Cell) -> Double) -> Double {
                row.cells.reduce(0) { $0 + value($1) * Double($1.n) } / Double(row.cells.reduce(0) { $0 + $1.n })
            }
            lines.append(
                "| \(parameters(row.parameters)) | \(row.system) | \(cells.joined(separator: " | ")) "
                    + String(
                        format: "| %.1f %% | %.1f | %.0f | %.2f |", mean(\.codeErrorRate), mean(\.toolCalls),
                        mean(\.completionTokens), mean(\.seconds)))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private struct Column: Equatable {
        let family: AgentTask.Family
        let split: String

        var title: String {
            switch split {
            case "in": "\(family.rawValue), in domain"
            case "out": "\(family.rawValue), out of domain"
            case let benchmark: benchmark
            }
        }
    }

    /// A system of one size, with its cells.
    struct Row {
        let parameters: Int
        let system: String
        let cells: [EvaluationSummary.Cell]
    }

    static func rows(_ summary: EvaluationSummary) -> [Row] {
        summary.cells.reduce(into: [Row]()) { rows, cell in
            guard !rows.contains(where: { $0.parameters == cell.parameters && $0.system == cell.system }) else {
                return
            }
            rows.append(
                Row(
                    parameters: cell.parameters, system: cell.system,
                    cells: summary.cells.filter { $0.parameters == cell.parameters && $0.system == cell.system }))
        }
    }

    private static func accuracy(_ cell: EvaluationSummary.Cell) -> String {
        String(format: "%.1f (%.0f–%.0f)", cell.accuracy, cell.low, cell.high)
    }

    /// Such as `2.8M`.
    static func parameters(_ count: Int) -> String {
        count >= 1_000_000 ? String(format: "%.1fM", Double(count) / 1e6) : "\(count / 1000)k"
    }
}
