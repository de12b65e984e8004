import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

extension RecipeRun {
    /// Writes the figures: `summary.json`, `report.md` and `report.html`.
    func report(_ summary: EvaluationSummary) async throws {
        try summary.write(to: folder.summaryFile)
        let table = MarkdownTable.render(summary) + "\n" + TeacherYield.table(try await yields())
        try AtomicFile.write(Data(table.utf8), to: folder.tableFile)
        var samples: [HTMLReport.Sample] = []
        var losses: [HTMLReport.Curve] = []
        for student in recipe.students {
            for system in recipe.evaluation.systems {
                let entries = try await store.entries(in: Self.evaluationSet(student, system))
                samples += Self.telling(entries).map { entry in
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
        let page = HTMLReport(title: recipe.name, summary: summary, samples: samples, losses: losses).render()
        try AtomicFile.write(Data(page.utf8), to: folder.reportFile)
    }

    /// A few entries of each family and split: a correct one and a wrong one where there are both.
    private static func telling(_ entries: [TrajectoryStore.Entry]) -> [TrajectoryStore.Entry] {
        var seen: Set<String> = []
        return entries.filter { entry in
            let task = entry.trajectory.task
            return seen.insert("\(task.family) \(task.split) \(entry.verdict?.isCorrect == true)").inserted
        }
    }
}
