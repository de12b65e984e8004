import Foundation

/// The table of agents that call APIs, as Markdown: a row for each system and search.
package enum ToolUseTable {
    private static let heads = [
        "system", "search", "outputs", "seen APIs", "unseen APIs", "unseen, solvable", "unseen, not solvable",
        "invented names",
        "refused inputs", "unreadable turns", "calls", "tokens", "seconds",
    ]

    /// The main table, the data curve where there is one, and what other graders said, what failed and how weights were
    /// held.
    package static func render(_ summary: ToolUseSummary) -> String {
        var lines = [
            "| \(heads.joined(separator: " | ")) |",
            "| --- | --- | --- |" + String(repeating: " ---: |", count: heads.count - 3),
        ]
        lines += rows(summary).map { "| \($0.joined(separator: " | ")) |" }
        let scaled = scaledRows(summary)
        if !scaled.isEmpty {
            lines += ["", "| system | training tasks | seen APIs | unseen APIs |", "| --- | ---: | ---: | ---: |"]
            lines += scaled.map { "| \($0.joined(separator: " | ")) |" }
        }
        let others = [
            OtherGrades.table(summary.also ?? []), PartialStage.table(summary.partial ?? []),
            ModelPrecision.table(summary.models ?? []),
        ]
        return ([lines.joined(separator: "\n") + "\n"] + others.map(\.markdown).filter { !$0.isEmpty })
            .joined(separator: "\n")
    }

    static func rows(_ summary: ToolUseSummary) -> [[String]] {
        let seen = summary.cells.filter { !$0.isScaled && $0.split == "in" }
        return seen.map { cell in
            let unseen = summary.cells.first {
                !$0.isScaled && $0.split == "out" && $0.system == cell.system && $0.search == cell.search
                    && $0.outputs == cell.outputs
                    && $0.student == cell.student
            }
            let both = [cell, unseen].compactMap(\.self)
            let n = Double(both.reduce(0) { $0 + $1.n })
            func mean(_ value: (ToolUseSummary.Cell) -> Double) -> Double {
                both.reduce(0) { $0 + value($1) * Double($1.n) } / max(n, 1)
            }
            return [
                cell.system, cell.search, cell.outputs, pass(cell), unseen.map(pass) ?? "–",
                unseen.map { String(format: "%.1f", $0.solvablePass) } ?? "–",
                unseen.map { String(format: "%.1f", $0.unsolvablePass) } ?? "–",
                String(format: "%.1f %%", mean(\.inventedNames)), String(format: "%.1f %%", mean(\.invalidInputs)),
                String(format: "%.1f %%", mean(\.unreadableTurns)), String(format: "%.1f", mean(\.calls)),
                String(format: "%.0f", mean(\.completionTokens)), String(format: "%.2f", mean(\.seconds)),
            ]
        }
    }

    /// The systems that were trained on parts of the tasks, ending with the whole.
    private static func scaledRows(_ summary: ToolUseSummary) -> [[String]] {
        let names = Set(summary.cells.filter(\.isScaled).map(\.system))
        return curve(summary).filter { names.contains($0.system) }.map { point in
            [point.system, String(point.tasks), pass(point), point.other.map(pass) ?? "–"]
        }
    }

    private static func pass(_ cell: ToolUseSummary.Cell) -> String {
        String(format: "%.1f (%.0f–%.0f)", cell.pass, cell.low, cell.high)
    }

    private static func pass(_ point: Point) -> String { pass(point.cell) }

    /// A point of the data curve: a system trained on so many tasks.
    struct Point {
        let cell: ToolUseSummary.Cell
        /// The same system on unseen APIs.
        let other: ToolUseSummary.Cell?

        var system: String { cell.system }
        var tasks: Int { cell.tasks }
    }

    /// Greedy runs with free outputs, by system and number of tasks.
    static func curve(_ summary: ToolUseSummary) -> [Point] {
        summary.cells.filter { $0.search == "greedy" && $0.outputs == "free" && $0.split == "in" }
            .map { cell in
                Point(
                    cell: cell,
                    other: summary.cells.first {
                        $0.search == "greedy" && $0.outputs == "free" && $0.split == "out" && $0.system == cell.system
                            && $0.tasks == cell.tasks
                            && $0.student == cell.student && $0.isScaled == cell.isScaled
                    })
            }
            .sorted { ($0.system, $0.tasks) < ($1.system, $1.tasks) }
    }
}
