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

        /// A trajectory with its student, system and grade.
        public init(student: String, system: String, trajectory: Trajectory, verdict: Verdict) {
            self.student = student
            self.system = system
            self.trajectory = trajectory
            self.verdict = verdict
        }
    }

    /// A training run's losses, one for each update.
    public struct Curve: Sendable {
        let name: String
        let values: [Double]

        /// A curve with its title.
        public init(name: String, values: [Double]) {
            self.name = name
            self.values = values
        }
    }

    private let title: String
    let summary: EvaluationSummary
    private let samples: [Sample]
    private let losses: [Curve]
    private let tables: [ReportTable]

    /// - Parameter tables: further tables, each in a section of its own.
    public init(
        title: String, summary: EvaluationSummary, samples: [Sample], losses: [Curve], tables: [ReportTable] = []
    ) {
        self.title = title
        self.summary = summary
        self.samples = samples
        self.losses = losses
        self.tables = tables
    }

    /// The page as HTML.
    public func render() -> String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
        script-src 'unsafe-inline'; img-src data:"><meta name="color-scheme" content="light dark">
        <meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
        <title>\(title.escaped) · Retort</title><style>\(HTMLStyle.sheet)</style></head><body>
        <a class="skip" href="#trajectories">To the trajectories</a><main>
        <header><p class="kicker">Retort</p><h1>\(title.escaped)</h1><p>\(lead.escaped)</p></header>
        \(students)
        <section><h2>Accuracy</h2>\(charts)</section>
        \(scaling)
        <section><h2>By kind of task</h2>\(accuracies)
        <p class="note">Percent of tasks solved, with 95 % Wilson intervals; a score leads to its trajectories.</p></section>
        <section><h2>What it took</h2>\(effort)
        <p class="note">Means for each task; the last two columns are all tokens, read and written, and all seconds over the
        number of tasks solved.</p></section>
        \(comparisons)
        \(overlap)
        \(breakdowns)
        <section><h2>How the runs ended</h2>\(endings)\(causes)</section>
        <section><h2>What went wrong on the way</h2>\(faults)
        <p class="note">Turns without an action, of all turns; programs that failed and those among them that ran out of time,
        of all programs; tool calls that failed, of all calls. An agent may recover from each of them.</p></section>
        \(tables.map(\.html).joined())
        \(lossSection)
        <section id="trajectories" tabindex="-1"><h2>Trajectories</h2>\(Self.filter)\(SampleGroups.render(samples))</section>
        </main><script type="module">\(ReportScript.source)</script></body></html>
        """
    }

    private static let filter = """
        <form class="filter" role="search"><label>Show <select id="show"><option value="">all</option>
        <option value="solved">solved</option><option value="not-solved">not solved</option></select></label>
        <label>Find <input type="search" id="find" placeholder="in questions, code, answers"></label>
        <output id="found"></output></form>
        """

    private var lead: String {
        let sizes = Set(summary.cells.map(\.parameters)).sorted().map(MarkdownTable.parameters)
        let systems = summary.cells.reduce(into: [String]()) { if !$0.contains($1.system) { $0.append($1.system) } }
        let runs = summary.cells.reduce(0) { $0 + $1.n }
        return
            "\(runs) runs of \(systems.joined(separator: ", ")) by students of \(sizes.joined(separator: ", ")) parameters."
    }

    /// A system, with its student where there are several.
    func label(_ cell: EvaluationSummary.Cell) -> String {
        let isOnly = Set(summary.cells.map { [$0.student ?? "", String($0.parameters)] }).count == 1
        return isOnly ? cell.system : "\(cell.system) \(MarkdownTable.size(cell.student, cell.parameters, in: summary))"
    }

    /// The cells by kind of task.
    var groups: [(title: String, cells: [EvaluationSummary.Cell])] {
        let splits = summary.cells.reduce(into: [String]()) { if !$0.contains($1.split) { $0.append($1.split) } }
        let families = Set(summary.cells.map(\.family)).sorted { $0.rawValue < $1.rawValue }
        return families.flatMap { family in
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
                    label: label(cell), value: cell.accuracy,
                    low: cell.low, high: cell.high, tone: Self.tone(cell.system))
            }
            return "<figure><figcaption>\(group.title.escaped)</figcaption>\(Chart.bars(bars))</figure>"
        }
        return "<div class=\"grid\">\(figures.joined())</div>"
    }

    /// Each of the paper's systems has a colour of its own.
    private static func tone(_ system: String) -> Int {
        let order = [
            "cot", "cot+rag", "agent", "agent+sag", "cot-prompt", "cot+sc", "agent-prompt", "agent+ftp",
            "agent+ftp+sag",
        ]
        return order.firstIndex(of: system) ?? Int(StableHash.of(system) % UInt64(order.count))
    }

    /// Accuracy against size, when there is more than one size.
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
}

extension String {
    /// Safe inside HTML text and attributes.
    var escaped: String {
        replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
    }
}
