import Foundation

/// The figures of agents that call APIs as one self-contained page: bars, the curve of data, and the table.
package struct ToolUseReport: Sendable {
    private let title: String
    private let summary: ToolUseSummary
    private let tables: [ReportTable]

    /// - Parameter tables: further tables, below the figures.
    package init(title: String, summary: ToolUseSummary, tables: [ReportTable] = []) {
        self.title = title
        self.summary = summary
        self.tables = tables
    }

    /// The page.
    package func render() -> String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(title.escaped) · Retort</title><style>\(HTMLStyle.sheet)</style></head><body><main>
        <header><p class="kicker">Retort</p><h1>\(title.escaped)</h1>
        <p>\(summary.cells.reduce(0) { $0 + $1.n }) runs over JSON APIs.</p></header>
        <section><h2>Pass rate</h2><div class="grid">\(bars)</div></section>
        \(PartialStage.table(summary.partial ?? []).html)
        \(curves)
        <section><h2>Table</h2><div class="wide">\(table)</div>
        <p class="note">Percent of tasks solved, or rightly given up, with 95 % Wilson intervals. Invented names and refused
        inputs are percent of calls, unreadable turns percent of turns; calls, tokens and seconds are means for each
        task.</p></section>
        \(OtherGrades.table(summary.also ?? []).html)
        \(tables.map(\.html).joined())
        \(ModelPrecision.table(summary.models ?? []).html)
        </main></body></html>
        """
    }

    private static let splits = [("in", "Seen APIs"), ("out", "Unseen APIs")]

    private var bars: String {
        Self.splits.map { split, title in
            let cells = summary.cells.filter { $0.split == split && !$0.isScaled }
            let bars = cells.map { cell in
                let search = (cell.search == "greedy" ? "" : " +DFS") + (cell.outputs == "free" ? "" : " +G")
                return Chart.Bar(
                    label: cell.system + search, value: cell.pass, low: cell.low, high: cell.high,
                    tone: cell.search == "greedy" ? 2 : 3)
            }
            return "<figure><figcaption>\(title)</figcaption>\(Chart.bars(bars))</figure>"
        }.joined()
    }

    /// Pass rate against the number of training tasks, for systems that were trained on parts of them.
    private var curves: String {
        let names = Set(summary.cells.filter(\.isScaled).map(\.system)).sorted()
        guard !names.isEmpty else { return "" }
        let points = ToolUseTable.curve(summary)
        let figures = Self.splits.map { split, title in
            let lines = names.enumerated().map { tone, name in
                Chart.Line(
                    label: name, tone: 2 * (tone % 2),
                    points: points.filter { $0.system == name }.compactMap { point in
                        let cell = split == "in" ? point.cell : point.other
                        return cell.map { (log2(Double(max($0.tasks, 1))), $0.pass) }
                    })
            }
            let chart = Chart.lines(lines, ceiling: 100) { String(Int(exp2($0).rounded())) }
            return "<figure><figcaption>\(title)</figcaption>\(chart)</figure>"
        }
        return """
            <section><h2>Pass rate against training tasks</h2><div class="grid">\(figures.joined())</div>
            <p class="note">Greedy search; the axis is logarithmic.</p></section>
            """
    }

    private var table: String {
        let lines = ToolUseTable.render(summary).split(separator: "\n\n").first.map(String.init) ?? ""
        let rows = lines.split(separator: "\n").map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        guard let head = rows.first else { return "" }
        let cells = rows.dropFirst(2).map { row in
            "<tr>\(row.enumerated().map { $0 == 0 ? "<th>\($1.escaped)</th>" : "<td>\($1.escaped)</td>" }.joined())</tr>"
        }
        return "<table><thead><tr>\(head.map { "<th>\($0.escaped)</th>" }.joined())</tr></thead>"
            + "<tbody>\(cells.joined())</tbody></table>"
    }
}
