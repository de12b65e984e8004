import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

extension RecipeRun {
    /// Writes the figures: `summary.json`, `summary.csv`, `report.md` and `report.html`.
    func report(_ summary: EvaluationSummary) async throws {
        try summary.write(to: folder.summaryFile)
        try AtomicFile.write(Data(CSVTable.render(summary).utf8), to: folder.figuresFile)
        let tables = [BenchmarkTable.section(benchmarkAudits())]
        let table =
            MarkdownTable.render(summary) + "\n" + TeacherYield.table(try await yields())
            + tables.map { "\n\($0.markdown)" }.joined()
        try AtomicFile.write(Data(table.utf8), to: folder.tableFile)
        var samples: [HTMLReport.Sample] = []
        var losses: [HTMLReport.Curve] = []
        for student in recipe.students {
            for system in recipe.evaluation.systems {
                let entries = try await store.entries(in: Self.evaluationSet(student, system))
                samples += Self.shown(entries).map { entry in
                    HTMLReport.Sample(
                        student: student.name, system: system.rawValue, trajectory: entry.trajectory,
                        verdict: entry.verdict ?? Verdict(isCorrect: false, reason: "not graded"))
                }
            }
            for style in Recipe.Style.allCases where recipe.training[style] != nil {
                let file = folder.result("loss-\(student.name)-\(style.rawValue.fileName)")
                guard let data = try? Data(contentsOf: file) else { continue }
                losses.append(
                    HTMLReport.Curve(
                        name: "\(student.name) \(style.rawValue)",
                        values: try JSONCoding.decoder.decode([Double].self, from: data)))
            }
        }
        let page = HTMLReport(
            title: recipe.name, summary: summary, samples: samples, losses: losses, tables: tables
        ).render()
        try AtomicFile.write(Data(page.utf8), to: folder.reportFile)
    }

    /// All entries, or of a very long list evenly chosen ones: a page must still open.
    private static func shown(_ entries: [TrajectoryStore.Entry]) -> [TrajectoryStore.Entry] {
        let step = (entries.count + mostShown - 1) / mostShown
        return step <= 1 ? entries : stride(from: 0, to: entries.count, by: step).map { entries[$0] }
    }

    private static let mostShown = 3000
}
