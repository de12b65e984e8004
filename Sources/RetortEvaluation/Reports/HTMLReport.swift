import Foundation
import RetortCore

/// An evaluation as one self-contained page: charts, table, how runs ended, and trajectories to read.
///
/// Nothing is loaded from elsewhere, and all text of models and tools is escaped.
public struct HTMLReport: Sendable {
    /// A trajectory to show in full.
    public struct Sample: Sendable {
        let student: String
        let system: String
        let trajectory: Trajectory
        let verdict: Verdict

        public init(student: String, system: String, trajectory: Trajectory, verdict: Verdict) {
            self.student = student
            self.system = system
            self.trajectory = trajectory
            self.verdict = verdict
        }
    }

    /// A training run's losses, one an update.
    public struct Curve: Sendable {
        let name: String
        let values: [Double]

        public init(name: String, values: [Double]) {
            self.name = name
            self.values = values
        }
    }

    private let title: String
    private let summary: EvaluationSummary
    private let samples: [Sample]
    private let losses: [Curve]

    public init(title: String, summary: EvaluationSummary, samples: [Sample], losses: [Curve]) {
        self.title = title
        self.summary = summary
        self.samples = samples
        self.losses = losses
    }

    /// The page.
    public func render() -> String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(title.escaped) · Retort</title><style>\(HTMLStyle.sheet)</style></head><body><main>
        <header><p class="kicker">Retort</p><h1>\(title.escaped)</h1><p>\(lead.escaped)</p></header>
        <section><h2>Accuracy</h2>\(charts)</section>
        \(scaling)
        <section><h2>Table</h2><div class="wide">\(table)</div>
        <p class="note">Percent of tasks solved, with 95 % Wilson intervals. Tokens, tool calls and seconds are means
        for each task.</p></section>
        <section><h2>How the runs ended</h2><div class="wide">\(causes)</div></section>
        \(lossSection)
        <section><h2>Trajectories</h2>\(samples.map(SampleSection.render).joined())</section>
        </main></body></html>
        """
    }

    private var lead: String {
        let sizes = Set(summary.cells.map(\.parameters)).sorted().map(MarkdownTable.parameters)
        let systems = summary.cells.reduce(into: [String]()) { if !$0.contains($1.system) { $0.append($1.system) } }
        let runs = summary.cells.reduce(0) { $0 + $1.n }
        return
            "\(runs) runs of \(systems.joined(separator: ", ")) by students of \(sizes.joined(separator: ", ")) parameters."
    }

    private var groups: [(title: String, cells: [EvaluationSummary.Cell])] {
        AgentTask.Family.allCases.flatMap { family in
            ["in", "out"].compactMap { split -> (String, [EvaluationSummary.Cell])? in
                let cells = summary.cells.filter { $0.family == family && $0.split == split }
                let domain = split == "in" ? "in domain" : "out of domain"
                return cells.isEmpty ? nil : ("\(family.rawValue.capitalized), \(domain)", cells)
            }
        }
    }

    private var charts: String {
        let figures = groups.map { group in
            let bars = group.cells.map { cell in
                Chart.Bar(
                    label: "\(cell.system) \(MarkdownTable.parameters(cell.parameters))", value: cell.accuracy,
                    low: cell.low, high: cell.high, tone: Self.tone(cell.system))
            }
            return "<figure><figcaption>\(group.title)</figcaption>\(Chart.bars(bars))</figure>"
        }
        return "<div class=\"grid\">\(figures.joined())</div>"
    }

    private static func tone(_ system: String) -> Int {
        ["cot": 0, "cot+rag": 1, "agent": 2, "agent+sag": 3][system] ?? 0
    }

    /// Accuracy against size, when there is more than one.
    private var scaling: String {
        guard Set(summary.cells.map(\.parameters)).count > 1 else { return "" }
        let figures = groups.map { group in
            let systems = group.cells.reduce(into: [String]()) { if !$0.contains($1.system) { $0.append($1.system) } }
            let lines = systems.map { system in
                Chart.Line(
                    label: system, tone: Self.tone(system),
                    points: group.cells.filter { $0.system == system }.map {
                        (log10(Double($0.parameters)), $0.accuracy)
                    })
            }
            return "<figure><figcaption>\(group.title)</figcaption>"
                + "\(Chart.lines(lines, ceiling: 100, name: { MarkdownTable.parameters(Int(pow(10, $0).rounded())) }))</figure>"
        }
        return "<section><h2>Accuracy against size</h2><div class=\"grid\">\(figures.joined())</div></section>"
    }

    private var lossSection: String {
        guard !losses.isEmpty else { return "" }
        let figures = losses.map { curve in
            let step = max(curve.values.count / 160, 1)
            let points = stride(from: 0, to: curve.values.count, by: step).map { start in
                let window = curve.values[start..<min(start + step, curve.values.count)]
                return (Double(start + 1), window.reduce(0, +) / Double(window.count))
            }
            let ceiling = points.map(\.1).max() ?? 1
            return "<figure><figcaption>\(curve.name.escaped)</figcaption>"
                + Chart.lines(
                    [Chart.Line(label: "", tone: 2, points: points)], ceiling: ceiling, name: { String(Int($0)) })
                + "</figure>"
        }
        return "<section><h2>Training loss</h2><div class=\"grid\">\(figures.joined())</div></section>"
    }

    private var table: String {
        let heads = groups.map { "<th>\($0.title)</th>" }.joined()
        let rows = MarkdownTable.rows(summary).map { row in
            let cells = groups.map { group in
                guard
                    let cell = group.cells.first(where: { $0.system == row.system && $0.parameters == row.parameters })
                else { return "<td>–</td>" }
                let link = SampleSection.anchor(cell.system, cell.family, cell.split)
                return "<td><a href=\"#\(link)\"><b>\(String(format: "%.1f", cell.accuracy))</b></a> "
                    + "<small>\(Int(cell.low.rounded()))–\(Int(cell.high.rounded()))</small></td>"
            }
            func mean(_ value: (EvaluationSummary.Cell) -> Double) -> Double {
                row.cells.reduce(0) { $0 + value($1) } / Double(max(row.cells.count, 1))
            }
            return "<tr><th>\(row.system.escaped)</th><td>\(MarkdownTable.parameters(row.parameters))</td>"
                + cells.joined()
                + String(
                    format: "<td>%.1f %%</td><td>%.1f</td><td>%.0f</td><td>%.2f</td></tr>", mean(\.codeErrorRate),
                    mean(\.toolCalls), mean(\.completionTokens), mean(\.seconds))
        }
        return "<table><thead><tr><th>System</th><th>Size</th>\(heads)<th>Code errors</th><th>Tool calls</th>"
            + "<th>Tokens</th><th>Seconds</th></tr></thead><tbody>\(rows.joined())</tbody></table>"
    }

    private var causes: String {
        let names = Set(summary.cells.flatMap(\.causes.keys)).sorted()
        let rows = MarkdownTable.rows(summary).map { row in
            let counts = names.map { name in
                "<td>\(row.cells.reduce(0) { $0 + ($1.causes[name] ?? 0) })</td>"
            }
            return
                "<tr><th>\(row.system.escaped)</th><td>\(MarkdownTable.parameters(row.parameters))</td>\(counts.joined())</tr>"
        }
        let heads = names.map { "<th>\($0.escaped)</th>" }.joined()
        return
            "<table><thead><tr><th>System</th><th>Size</th>\(heads)</tr></thead><tbody>\(rows.joined())</tbody></table>"
    }
}

extension String {
    /// Safe inside HTML text and attributes.
    var escaped: String {
        replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
    }
}
