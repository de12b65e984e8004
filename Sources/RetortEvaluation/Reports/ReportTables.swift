import Foundation
import RetortCore

/// A table that scrolls by itself where the page is too narrow, by touch or with the keyboard.
enum HTMLTable {
    /// - Parameters:
    ///   - heads: as HTML.
    ///   - rows: cells as HTML; the first one is the row's head.
    ///   - label: what the table shows, for screen readers.
    static func render(_ heads: [String], _ rows: [[String]], label: String) -> String {
        let head = heads.map { "<th scope=\"col\">\($0)</th>" }.joined()
        let body = rows.map { row in
            let cells = row.enumerated().map { $0 == 0 ? "<th scope=\"row\">\($1)</th>" : "<td>\($1)</td>" }
            return "<tr>\(cells.joined())</tr>"
        }
        return "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"\(label.escaped)\"><table>"
            + "<thead><tr>\(head)</tr></thead><tbody>\(body.joined())</tbody></table></div>"
    }

    static func number(_ value: Double, _ digits: Int = 1) -> String { String(format: "%.\(digits)f", value) }

    /// A value with its interval in small print.
    static func figure(_ value: Double, _ low: Double, _ high: Double) -> String {
        "\(number(value)) <small>\(number(low, 0))–\(number(high, 0))</small>"
    }
}

extension HTMLReport {
    private typealias Cell = EvaluationSummary.Cell

    private var rows: [MarkdownTable.Row] { MarkdownTable.rows(summary) }

    private func name(_ row: MarkdownTable.Row) -> [String] {
        [row.system.escaped, row.size(in: summary).escaped]
    }

    /// The paper's table: one row for each student.
    var students: String {
        guard let (heads, rows) = StudentTable.rows(summary) else { return "" }
        let lines = rows.map { row in
            let best = row.cells.compactMap { $0?.mean }.max()
            return [row.student.escaped]
                + row.cells.map { cell in
                    guard let cell else { return "–" }
                    let value = HTMLTable.number(cell.mean)
                    return (cell.mean == best ? "<b>\(value)</b>" : value)
                        + " <small>± \(HTMLTable.number(cell.margin))</small>"
                }
        }
        let table = HTMLTable.render(["Student"] + heads.map(\.escaped), lines, label: "One row a student")
        return """
            <section><h2>One row a student</h2>\(table)
            <p class="note">Mean of the accuracies on each kind of task, with half the width of its 95 % interval.</p></section>
            """
    }

    /// Accuracy on each kind of task; a score links to its trajectories.
    var accuracies: String {
        let lines = rows.map { row in
            name(row)
                + groups.map { group in
                    guard let cell = row.cells.first(where: { group.cells.contains($0) }) else { return "–" }
                    let link = SampleSection.anchor(cell.system, cell.family, cell.split, cell.student)
                    return "<a href=\"#\(link.escaped)\"><b>\(HTMLTable.number(cell.accuracy))</b></a> "
                        + "<small>\(HTMLTable.number(cell.low, 0))–\(HTMLTable.number(cell.high, 0))</small>"
                }
        }
        return HTMLTable.render(
            ["System", "Size"] + groups.map(\.title.escaped), lines, label: "Accuracy by kind of task")
    }

    /// Means over a row's tasks.
    private func mean(_ row: MarkdownTable.Row, _ value: (Cell) -> Double) -> Double {
        let n = row.cells.reduce(0) { $0 + $1.n }
        return row.cells.reduce(0) { $0 + value($1) * Double($1.n) } / Double(max(n, 1))
    }

    var effort: String {
        let lines = rows.map { row in
            let solved = row.cells.reduce(0.0) { $0 + ($1.accuracy / 100 * Double($1.n)).rounded() }
            let n = Double(row.cells.reduce(0) { $0 + $1.n })
            func each(_ value: (Cell) -> Double, _ digits: Int) -> String {
                solved > 0 ? HTMLTable.number(mean(row, value) * n / solved, digits) : "–"
            }
            return name(row) + [
                HTMLTable.number(mean(row, \.toolCalls)), HTMLTable.number(mean(row) { $0.steps ?? 0 }),
                HTMLTable.number(mean(row, \.promptTokens), 0), HTMLTable.number(mean(row, \.completionTokens), 0),
                HTMLTable.number(mean(row, \.seconds), 2), each({ $0.promptTokens + $0.completionTokens }, 0),
                each(\.seconds, 1),
            ]
        }
        return HTMLTable.render(
            [
                "System", "Size", "Tool calls", "Steps", "Tokens read", "Tokens written", "Seconds",
                "Tokens for each solved", "Seconds for each solved",
            ], lines, label: "What it took")
    }

    /// Systems compared on the same tasks.
    var comparisons: String {
        guard let list = summary.comparisons, !list.isEmpty else { return "" }
        let lines = list.map { pair in
            let change = pair.difference.map {
                String(format: "%+.1f <small>%+.1f to %+.1f</small>", $0.mean, $0.low, $0.high)
            }
            return [
                "\(pair.second.escaped) against \(pair.first.escaped)", change ?? "–", "\(pair.onlySecond)",
                "\(pair.onlyFirst)", "\(pair.n)", HTMLTable.number(pair.pValue, 4),
            ]
        }
        let table = HTMLTable.render(
            ["Systems", "Points", "Only the first solved", "Only the second solved", "Tasks", "McNemar p"], lines,
            label: "Systems against each other")
        return """
            <section><h2>Against each other</h2>\(table)<p class="note">On the tasks that both were given; the interval of the
            difference is a paired bootstrap's, p is McNemar's exact test.</p></section>
            """
    }

    /// Word overlap of factual answers.
    var overlap: String {
        let lines = summary.cells.compactMap { cell -> [String]? in
            guard let f1 = cell.f1 else { return nil }
            return [
                cell.system.escaped, MarkdownTable.size(cell.student, cell.parameters, in: summary).escaped,
                cell.split.escaped, HTMLTable.figure(cell.accuracy, cell.low, cell.high),
                HTMLTable.figure(f1, cell.f1Low ?? f1, cell.f1High ?? f1),
            ]
        }
        guard !lines.isEmpty else { return "" }
        // A judge may have decided instead of exact match.
        let decider = summary.judged == nil ? "Exact match" : "Accuracy"
        let table = HTMLTable.render(
            ["System", "Size", "Tasks", decider, "F1"], lines, label: "\(decider) and word overlap")
        return """
            <section><h2>Factual answers: \(decider.lowercased()) and word overlap</h2>\(table)
            <p class="note">In SQuAD's sense, in percent; the interval of F1 is a bootstrap's.</p></section>
            """
    }

    /// Accuracy by level, type and subject: a table for each kind of task, a column for each system.
    var breakdowns: String {
        let tables = groups.flatMap { group in
            let keys = group.cells.flatMap { $0.breakdowns ?? [] }.map(\.key)
            return keys.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }.map { key in
                breakdown(group.cells, key, title: "\(group.title), by \(key)")
            }
        }
        return tables.isEmpty ? "" : "<section><h2>By level and type</h2>\(tables.joined())</section>"
    }

    private func breakdown(_ cells: [Cell], _ key: String, title: String) -> String {
        let columns = cells.compactMap { cell in
            cell.breakdowns?.first { $0.key == key }.map { (label(cell), $0.rows) }
        }
        let values = columns.flatMap { $0.1.map(\.value) }.reduce(into: [String]()) {
            if !$0.contains($1) { $0.append($1) }
        }
        let lines = values.sorted { $0.localizedStandardCompare($1) == .orderedAscending }.map { value in
            let rows = columns.map { column in column.1.first { $0.value == value } }
            return [value.escaped, "\(rows.compactMap { $0?.result.count }.max() ?? 0)"]
                + rows.map { row in
                    guard let result = row?.result else { return "–" }
                    return HTMLTable.figure(
                        result.value * 100, result.interval.low * 100, result.interval.high * 100)
                }
        }
        return "<details><summary>\(title.escaped)</summary>"
            + HTMLTable.render([key.escaped, "Tasks"] + columns.map(\.0.escaped), lines, label: title) + "</details>"
    }

    /// One bar for each system and size, in shares.
    var endings: String {
        let names = RunRecord.Cause.allCases.map(\.rawValue)
        let bars = rows.compactMap { row in
            row.cells.first.map { first in
                (
                    label: label(first),
                    counts: names.map { name in row.cells.reduce(0) { $0 + ($1.causes[name] ?? 0) } }
                )
            }
        }
        return bars.isEmpty
            ? "" : "<figure class=\"wide\" tabindex=\"0\">\(Chart.shares(bars, names: names))</figure>"
    }

    var causes: String {
        let names = RunRecord.Cause.allCases.map(\.rawValue).filter { name in
            summary.cells.contains { ($0.causes[name] ?? 0) > 0 }
        }
        let lines = rows.map { row in
            name(row) + names.map { name in "\(row.cells.reduce(0) { $0 + ($1.causes[name] ?? 0) })" }
        }
        return HTMLTable.render(["System", "Size"] + names.map(\.escaped), lines, label: "Runs by how they ended")
    }

    /// Faults by kind, also in runs that ended well.
    var faults: String {
        let lines = rows.map { row in
            name(row)
                + [
                    mean(row, \.parseErrorRate), mean(row, \.codeErrorRate), mean(row) { $0.timeoutRate ?? 0 },
                    mean(row) { $0.toolErrorRate ?? 0 },
                ].map { "\(HTMLTable.number($0)) %" }
        }
        return HTMLTable.render(
            ["System", "Size", "Parse errors", "Execution errors", "Timeouts", "Tool errors"], lines,
            label: "Faults by kind")
    }
}
