import Foundation

/// The paper's table: a row for each student, a column for each system, in each cell the mean over the kinds of task.
enum StudentTable {
    /// The systems' names in the paper, in its order.
    static let titles: [(system: String, title: String)] = [
        ("cot-prompt", "CoT prompting"), ("cot", "CoT distillation"), ("cot+rag", "CoT distillation + RAG"),
        ("cot+sc", "CoT self-consistency"), ("agent-prompt", "Agent prompting"), ("agent", "Agent distillation"),
        ("agent+ftp", "+ ftp"), ("agent+sag", "+ sag"), ("agent+ftp+sag", "+ ftp + sag"),
    ]

    struct Row {
        let student: String
        /// One for each column; nil where a student was not measured.
        let cells: [SystemAverage?]
    }

    /// - Returns: nil when there is only one system, or none was averaged.
    static func rows(_ summary: EvaluationSummary) -> (heads: [String], rows: [Row])? {
        let averages = summary.averages ?? []
        let measured = averages.reduce(into: [String]()) { if !$0.contains($1.system) { $0.append($1.system) } }
        guard measured.count > 1 else { return nil }
        let known = titles.filter { measured.contains($0.system) }
        let systems = known + measured.filter { name in !known.contains { $0.system == name } }.map { ($0, $0) }
        var students: [SystemAverage] = []
        for average in averages
        where !students.contains(where: { $0.student == average.student && $0.parameters == average.parameters }) {
            students.append(average)
        }
        let rows = students.map { student in
            Row(
                student: MarkdownTable.size(student.student, student.parameters, in: summary),
                cells: systems.map { system in
                    averages.first {
                        $0.student == student.student && $0.parameters == student.parameters
                            && $0.system == system.system
                    }
                })
        }
        return (systems.map(\.title), rows)
    }

    /// As Markdown; empty where there is no table.
    static func markdown(_ summary: EvaluationSummary) -> String {
        guard let (heads, rows) = rows(summary) else { return "" }
        var lines = [
            "| student | \(heads.joined(separator: " | ")) |",
            "| --- |" + String(repeating: " ---: |", count: heads.count),
        ]
        for row in rows {
            let cells = row.cells.map { $0.map { String(format: "%.1f ± %.1f", $0.mean, $0.margin) } ?? "–" }
            lines.append("| \(row.student) | \(cells.joined(separator: " | ")) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
