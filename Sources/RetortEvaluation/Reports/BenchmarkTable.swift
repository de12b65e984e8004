/// The audits of benchmarks as a Markdown table that also reads well in a terminal.
package enum BenchmarkTable {
    /// All columns of numbers count questions.
    private static let heads = [
        "benchmark", "questions", "file", "repeated", "without answer", "own answers accepted", "others' accepted",
        "in training", "nearly",
    ]

    /// A row for each benchmark; the last two columns are left out where nothing was compared with training.
    package static func render(_ audits: [BenchmarkAudit]) -> String {
        let (heads, rows) = rows(audits)
        let lines = [heads] + rows
        let widths = heads.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        func padded(_ cells: [String]) -> String {
            let cells = zip(cells, widths).enumerated().map { index, cell in
                let blanks = String(repeating: " ", count: cell.1 - cell.0.count)
                return index == 0 || index == 2 ? cell.0 + blanks : blanks + cell.0
            }
            return "| \(cells.joined(separator: " | ")) |"
        }
        let rule = widths.enumerated().map { index, width in
            index == 0 || index == 2
                ? String(repeating: "-", count: width) : String(repeating: "-", count: max(width - 1, 2)) + ":"
        }
        return ([padded(lines[0]), "| \(rule.joined(separator: " | ")) |"] + lines.dropFirst().map(padded))
            .joined(separator: "\n") + "\n"
    }

    /// The same as a section of a report, with the remarks below; empty without audits.
    package static func section(_ audits: [BenchmarkAudit]) -> ReportTable {
        let (heads, rows) = rows(audits)
        return ReportTable(
            "The benchmarks themselves", columns: heads.map(\.capitalisedFirst), rows: rows,
            note: remarks(audits).map { "\($0)." }.joined(separator: " "))
    }

    /// Without the last two columns when there was no training to compare with.
    static func rows(_ audits: [BenchmarkAudit]) -> (heads: [String], rows: [[String]]) {
        let columns = audits.contains { $0.contamination != nil } ? heads.indices : heads.indices.dropLast(2)
        return (columns.map { heads[$0] }, audits.map { audit in columns.map { row(audit)[$0] } })
    }

    /// What a reader must know before trusting a figure, one line each; empty where all is well.
    package static func remarks(_ audits: [BenchmarkAudit]) -> [String] {
        audits.flatMap { audit in
            var remarks: [String] = []
            if audit.isComplete == false { remarks.append("has another number of questions than it should") }
            if audit.isUnchanged == false {
                remarks.append(
                    "has another checksum (\(audit.checksum)) than expected; its figures do not compare with published ones"
                )
            }
            if audit.repeated > 0 {
                remarks.append(
                    "repeats \(audit.repeated) of its questions, which count each time, as in published figures")
            }
            if audit.unanswered > 0 {
                remarks.append(
                    audit.unanswered == 1
                        ? "has a record without an answer, which is no question"
                        : "has \(audit.unanswered) records without an answer, which are no questions")
            }
            if let found = audit.contamination, !found.exact.isEmpty {
                remarks.append("occurs in training with \(names(found.exact))")
            }
            if let found = audit.contamination, !found.overlapping.isEmpty {
                remarks.append("shares half of its runs of eight words with training in \(names(found.overlapping))")
            }
            if let altered = audit.contamination?.altered, !altered.isEmpty {
                remarks.append("occurs in training, apart from its numbers, with \(names(altered))")
            }
            return remarks.map { "\(audit.benchmark) \($0)" }
        }
    }

    /// The first few of a list of ids.
    private static func names(_ ids: [String]) -> String {
        let rest = ids.count - 5
        return "\(ids.count) question\(ids.count == 1 ? "" : "s"): \(ids.prefix(5).joined(separator: ", "))"
            + (rest > 0 ? " and \(rest) more (--json lists all)" : "")
    }

    private static func row(_ audit: BenchmarkAudit) -> [String] {
        let state =
            audit.isComplete == false || audit.isUnchanged == false
            ? "changed" : audit.isUnchanged == nil ? "no checksum known" : "as published"
        return [
            audit.benchmark, String(audit.n), state, String(audit.repeated), String(audit.unanswered),
            "\(audit.ownAccepted)", "\(audit.strangersAccepted) of \(audit.strangersTried)",
            audit.contamination.map { String($0.exact.count) } ?? "–",
            audit.contamination.map { String($0.overlapping.count) } ?? "–",
        ]
    }
}

extension String {
    fileprivate var capitalisedFirst: String { prefix(1).uppercased() + dropFirst() }
}
