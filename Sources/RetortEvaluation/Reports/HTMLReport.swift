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
    private let tables: [ReportTable]

    /// - Parameter tables: further ones, in sections of their own.
    public init(
        title: String, summary: EvaluationSummary, samples: [Sample], losses: [Curve], tables: [ReportTable] = []
    ) {
        self.title = title
        self.summary = summary
        self.samples = samples
        self.losses = losses
        self.tables = tables
    }

    /// The page.
    public func render() -> String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
        <title>\(title.escaped) · Retort</title><style>\(HTMLStyle.sheet)</style></head><body><main>
        <header><p class="kicker">Retort</p><h1>\(title.escaped)</h1><p>\(lead.escaped)</p></header>
        <section><h2>Accuracy</h2>\(charts)</section>
        \(scaling)
        <section><h2>Table</h2><div class="wide">\(table)</div>
        <p class="note">Percent of tasks solved, with 95 % Wilson intervals; a score leads to its trajectories. Tokens, tool
        calls, steps and seconds are means for each task.</p></section>
        \(comparisons)
        \(overlap)
        \(breakdowns)
        <section><h2>How the runs ended</h2>\(endings)<div class="wide">\(causes)</div></section>
        \(tables.map(\.html).joined())
        \(lossSection)
        <section id="trajectories"><h2>Trajectories</h2>\(SampleGroups.render(samples))</section>
        </main><script type="module">\(Self.script)</script></body></html>
        """
    }

    /// Opens what a link leads to, and what it stands in.
    private static let script = """
        function reveal(){var e=location.hash&&document.getElementById(decodeURIComponent(location.hash.slice(1)));\
        for(var p=e;p;p=p.parentElement)if(p.tagName==="DETAILS")p.open=true;if(e)e.scrollIntoView()}
        addEventListener("hashchange",reveal);reveal();
        """

    private var lead: String {
        let sizes = Set(summary.cells.map(\.parameters)).sorted().map(MarkdownTable.parameters)
        let systems = summary.cells.reduce(into: [String]()) { if !$0.contains($1.system) { $0.append($1.system) } }
        let runs = summary.cells.reduce(0) { $0 + $1.n }
        return
            "\(runs) runs of \(systems.joined(separator: ", ")) by students of \(sizes.joined(separator: ", ")) parameters."
    }

    private var groups: [(title: String, cells: [EvaluationSummary.Cell])] {
        let splits = summary.cells.reduce(into: [String]()) { if !$0.contains($1.split) { $0.append($1.split) } }
        return AgentTask.Family.allCases.flatMap { family in
            splits.compactMap { split -> (String, [EvaluationSummary.Cell])? in
                let cells = summary.cells.filter { $0.family == family && $0.split == split }
                let name =
                    switch split {
                    case "in": "\(family.rawValue.capitalized), in domain"
                    case "out": "\(family.rawValue.capitalized), out of domain"
                    default: split
                    }
                return cells.isEmpty ? nil : (name, cells)
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
            return "<figure><figcaption>\(group.title.escaped)</figcaption>\(Chart.bars(bars))</figure>"
        }
        return "<div class=\"grid\">\(figures.joined())</div>"
    }

    private static func tone(_ system: String) -> Int {
        if let known = ["cot": 0, "cot+rag": 1, "agent": 2, "agent+sag": 3][system] { return known }
        return Int(StableHash.of(system) % 4)
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
            return "<figure><figcaption>\(group.title.escaped)</figcaption>"
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
        let heads = groups.map { "<th>\($0.title.escaped)</th>" }.joined()
        let rows = MarkdownTable.rows(summary).map { row in
            let cells = groups.map { group in
                guard
                    let cell = group.cells.first(where: { $0.system == row.system && $0.parameters == row.parameters })
                else { return "<td>–</td>" }
                let link = SampleSection.anchor(cell.system, cell.family, cell.split, cell.student)
                return "<td><a href=\"#\(link.escaped)\"><b>\(String(format: "%.1f", cell.accuracy))</b></a> "
                    + "<small>\(Int(cell.low.rounded()))–\(Int(cell.high.rounded()))</small></td>"
            }
            func mean(_ value: (EvaluationSummary.Cell) -> Double) -> Double {
                row.cells.reduce(0) { $0 + value($1) } / Double(max(row.cells.count, 1))
            }
            return "<tr><th>\(row.system.escaped)</th><td>\(MarkdownTable.parameters(row.parameters))</td>"
                + cells.joined()
                + String(
                    format: "<td>%.1f %%</td><td>%.1f</td><td>%.1f</td><td>%.0f</td><td>%.2f</td>",
                    mean(\.codeErrorRate), mean(\.toolCalls), mean { $0.steps ?? 0 }, mean(\.completionTokens),
                    mean(\.seconds))
                + "<td>\(Self.tokensPerCorrect(row.cells))</td></tr>"
        }
        return "<table><thead><tr><th>System</th><th>Size</th>\(heads)<th>Code errors</th><th>Tool calls</th>"
            + "<th>Steps</th><th>Tokens</th><th>Seconds</th><th>Tokens for each solved</th></tr></thead><tbody>\(rows.joined())</tbody></table>"
    }

    /// All tokens read and written over the number of tasks solved.
    private static func tokensPerCorrect(_ cells: [EvaluationSummary.Cell]) -> String {
        let solved = cells.reduce(0.0) { $0 + ($1.accuracy / 100 * Double($1.n)).rounded() }
        let tokens = cells.reduce(0.0) { $0 + ($1.promptTokens + $1.completionTokens) * Double($1.n) }
        return solved > 0 ? String(format: "%.0f", tokens / solved) : "–"
    }

    /// Systems against each other on the same tasks.
    private var comparisons: String {
        guard let list = summary.comparisons, !list.isEmpty else { return "" }
        let rows = list.map { pair in
            let change = pair.difference.map {
                String(format: "%+.1f <small>%+.1f to %+.1f</small>", $0.mean, $0.low, $0.high)
            }
            return "<tr><th>\(pair.second.escaped) against \(pair.first.escaped)</th><td>\(change ?? "–")</td>"
                + "<td>\(pair.onlySecond)</td><td>\(pair.onlyFirst)</td><td>\(pair.n)</td>"
                + String(format: "<td>%.4f</td></tr>", pair.pValue)
        }
        return """
            <section><h2>Against each other</h2><div class="wide"><table><thead><tr><th>Systems</th><th>Points</th>
            <th>Only the first solved</th><th>Only the second solved</th><th>Tasks</th><th>McNemar p</th></tr></thead>
            <tbody>\(rows.joined())</tbody></table></div><p class="note">On the tasks that both were given; the interval of the
            difference is a paired bootstrap's.</p></section>
            """
    }

    /// Word overlap of factual answers.
    private var overlap: String {
        let cells = summary.cells.filter { $0.f1 != nil }
        guard !cells.isEmpty else { return "" }
        // A judge may have decided instead.
        let decider = summary.judged == nil ? "Exact match" : "Accuracy"
        let rows = cells.map { cell in
            "<tr><th>\(cell.system.escaped)</th><td>\(MarkdownTable.parameters(cell.parameters))</td>"
                + "<td>\(cell.split.escaped)</td><td>\(String(format: "%.1f", cell.accuracy))</td>"
                + String(
                    format: "<td>%.1f <small>%.1f–%.1f</small></td></tr>", cell.f1 ?? 0, cell.f1Low ?? 0,
                    cell.f1High ?? 0)
        }
        return """
            <section><h2>Factual answers: \(decider.lowercased()) and word overlap</h2><div class="wide"><table><thead><tr><th>System</th>
            <th>Size</th><th>Tasks</th><th>\(decider)</th><th>F1</th></tr></thead><tbody>\(rows.joined())</tbody></table></div>
            <p class="note">In SQuAD's sense, in percent; the interval of F1 is a bootstrap's.</p></section>
            """
    }

    /// Accuracy by level, type and subject.
    private var breakdowns: String {
        let tables = summary.cells.flatMap { cell in
            (cell.breakdowns ?? []).map { table in
                let rows = table.rows.map { row in
                    String(
                        format: "<td>%.1f <small>%.0f–%.0f</small></td><td>%d</td></tr>", row.result.value * 100,
                        row.result.interval.low * 100, row.result.interval.high * 100, row.result.count
                    ).prepended("<tr><th>\(row.value.escaped)</th>")
                }
                let name =
                    "\(cell.system) \(MarkdownTable.parameters(cell.parameters)), \(cell.family.rawValue), \(cell.split), by "
                    + table.key
                return "<details><summary>\(name.escaped)</summary><div class=\"wide\"><table><thead><tr><th>"
                    + "\(table.key.escaped)</th><th>Accuracy</th><th>Tasks</th></tr></thead><tbody>\(rows.joined())"
                    + "</tbody></table></div></details>"
            }
        }
        return tables.isEmpty ? "" : "<section><h2>By level and type</h2>\(tables.joined())</section>"
    }

    /// One bar for each system and size, in shares.
    private var endings: String {
        let names = RunRecord.Cause.allCases.map(\.rawValue)
        let bars = MarkdownTable.rows(summary).map { row in
            (
                label: "\(row.system) \(MarkdownTable.parameters(row.parameters))",
                counts: names.map { name in row.cells.reduce(0) { $0 + ($1.causes[name] ?? 0) } }
            )
        }
        return bars.isEmpty ? "" : "<figure>\(Chart.shares(bars, names: names))</figure>"
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
    fileprivate func prepended(_ text: String) -> String { text + self }

    /// Safe inside HTML text and attributes.
    var escaped: String {
        replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
    }
}
