import Foundation
import RetortCore

/// The tables of an evaluation as Markdown: a row for each student, then a row for each student and system.
package enum MarkdownTable {
    /// The averages where there are several systems, the details by kind of task, and what failed.
    package static func render(_ summary: EvaluationSummary) -> String {
        let averages = StudentTable.markdown(summary)
        let failed = PartialStage.table(summary.partial ?? []).markdown
        return (averages.isEmpty ? "" : averages + "\n") + details(summary) + (failed.isEmpty ? "" : "\n" + failed)
    }

    private static func details(_ summary: EvaluationSummary) -> String {
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
                "| \(row.size(in: summary)) | \(row.system) | \(cells.joined(separator: " | ")) "
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

    /// A student's system, with its cells.
    struct Row {
        let student: String?
        let parameters: Int
        let system: String
        let cells: [EvaluationSummary.Cell]

        func size(in summary: EvaluationSummary) -> String { MarkdownTable.size(student, parameters, in: summary) }
    }

    static func rows(_ summary: EvaluationSummary) -> [Row] {
        summary.cells.reduce(into: [Row]()) { rows, cell in
            func isSame(_ student: String?, _ parameters: Int, _ system: String) -> Bool {
                student == cell.student && parameters == cell.parameters && system == cell.system
            }
            guard !rows.contains(where: { isSame($0.student, $0.parameters, $0.system) }) else { return }
            rows.append(
                Row(
                    student: cell.student, parameters: cell.parameters, system: cell.system,
                    cells: summary.cells.filter { isSame($0.student, $0.parameters, $0.system) }))
        }
    }

    /// A student's size; with its name where several students have the same size.
    static func size(_ student: String?, _ parameters: Int, in summary: EvaluationSummary) -> String {
        let size = Self.parameters(parameters)
        let peers = Set(summary.cells.filter { Self.parameters($0.parameters) == size }.map(\.student))
        guard let student, peers.count > 1 else { return size }
        return "\(student) (\(size))"
    }

    private static func accuracy(_ cell: EvaluationSummary.Cell) -> String {
        String(format: "%.1f (%.0f–%.0f)", cell.accuracy, cell.low, cell.high)
    }

    /// Such as `2.8M`.
    static func parameters(_ count: Int) -> String {
        count >= 1_000_000 ? String(format: "%.1fM", Double(count) / 1e6) : "\(count / 1000)k"
    }
}
