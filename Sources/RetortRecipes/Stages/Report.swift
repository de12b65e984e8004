import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

extension RecipeRun {
    /// Writes the figures: `summary.json`, `summary.csv`, `report.md` and `report.html`.
    func report(_ summary: EvaluationSummary) async throws {
        try summary.write(to: folder.summaryFile)
        try AtomicFile.write(Data(CSVTable.render(summary).utf8), to: folder.figuresFile)
        let tables = [
            JudgedSystem.table(summary.judged ?? []), TeacherYield.table(try await yields()),
            BenchmarkTable.section(benchmarkAudits()),
        ]
        let text = [MarkdownTable.render(summary)] + tables.map(\.markdown).filter { !$0.isEmpty }
        try AtomicFile.write(Data(text.joined(separator: "\n").utf8), to: folder.tableFile)
        var samples: [HTMLReport.Sample] = []
        var losses: [HTMLReport.Curve] = []
        for student in recipe.students {
            for system in recipe.evaluation.systems {
                let entries = try await store.entries(in: Self.evaluationSet(student, system))
                samples += Self.shown(entries).map { entry in
                    HTMLReport.Sample(
                        student: student.name, system: system.rawValue, trajectory: entry.trajectory,
                        verdict: grade(of: entry))
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
