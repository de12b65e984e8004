import Foundation
import RetortCore
import RetortEvaluation
import RetortLLM
import RetortStore

extension RunContext {
    /// Writes the figures: `summary.json`, `summary.csv`, `report.md` and `report.html`.
    func report(_ summary: EvaluationSummary, _ training: [any Stage]) async throws {
        try summary.write(to: folder.summaryFile)
        try AtomicFile.write(Data(CSVTable.render(summary).utf8), to: folder.figuresFile)
        // The Markdown table reports failures itself.
        let failed = PartialStage.table(summary.partial ?? [])
        let tables =
            try await roundTables(summary) + [
                JudgedSystem.table(summary.judged ?? []), OtherGrades.table(summary.also ?? []),
                TeacherYield.table(try await yields()), trainings(training),
                BenchmarkTable.section(benchmarkAudits()), try await TestOverlap(self).table,
                ModelPrecision.table(summary.models ?? []),
            ]
        let text = [MarkdownTable.render(summary)] + tables.map(\.markdown).filter { !$0.isEmpty }
        try AtomicFile.write(Data(text.joined(separator: "\n").utf8), to: folder.tableFile)
        var samples: [HTMLReport.Sample] = []
        var losses: [HTMLReport.Curve] = []
        for student in recipe.students {
            for system in recipe.evaluation.systems {
                let entries = try await store.entries(in: EvaluateStage.set(student, system))
                samples += Self.shown(entries).map { entry in
                    HTMLReport.Sample(
                        student: student.name, system: system.rawValue, trajectory: entry.trajectory,
                        verdict: grade(of: entry) ?? Verdict(isCorrect: false, reason: "not judged"))
                }
            }
            for style in Recipe.Style.allCases where recipe.training[style] != nil {
                for round in 0...recipe.rounds(of: style).count { losses += try curves(student, style, round) }
            }
        }
        let page = HTMLReport(
            title: recipe.name, summary: summary, samples: samples, losses: losses, tables: [failed] + tables
        ).render()
        try AtomicFile.write(Data(page.utf8), to: folder.reportFile)
    }

    /// The losses of a training, for its samples and for the held-out ones.
    private func curves(_ student: Recipe.Student, _ style: Recipe.Style, _ round: Int) throws -> [HTMLReport.Curve] {
        let stage = TrainStage.name(student, style, round: round)
        guard let file = TrainingFiles(folder.url, stage: stage)?.loss, let data = try? Data(contentsOf: file) else {
            return []
        }
        let name = "\(student.name) \(StudentRound.label(style, round))"
        let losses = HTMLReport.Curve(name: name, values: try JSONCoding.decoder.decode([Double].self, from: data))
        let looks = TrainingRecord.of(stage: stage, in: folder.url)?.validation?.points ?? []
        guard looks.count > 1 else { return [losses] }
        return [losses, HTMLReport.Curve(name: "\(name), held out", values: looks.map(\.loss))]
    }

    /// Writes the figures of agents of roles: `summary.json`, `report.md` and `report.html`.
    func report(_ summary: ToolUseSummary, _ training: [any Stage]) throws {
        let tables = [trainings(training)]
        try AtomicFile.write(JSONCoding.prettyEncoder.encode(summary), to: folder.summaryFile)
        try AtomicFile.write(
            Data(
                ([ToolUseTable.render(summary)] + tables.map(\.markdown)).filter { !$0.isEmpty }.joined(separator: "\n")
                    .utf8),
            to: folder.tableFile)
        try AtomicFile.write(
            Data(ToolUseReport(title: recipe.name, summary: summary, tables: tables).render().utf8),
            to: folder.reportFile)
    }

    /// Every model that runs in this process, with the precision of its weights.
    func localModels() -> [ModelPrecision] {
        let others = [("teacher", recipe.teacher), ("judge", recipe.judge?.access)].compactMap { name, plan in
            plan.flatMap { $0.folder == nil ? nil : ModelPrecision(model: name, weights: $0.precision.rawValue) }
        }
        let students = (recipe.evaluation.weights ?? .usual(on: .cpu)).rawValue
        return others + recipe.students.map { ModelPrecision(model: $0.name, weights: students) }
    }

    /// All entries, or an even selection of a very long list, so that the page can still be opened.
    private static func shown(_ entries: [TrajectoryStore.Entry]) -> [TrajectoryStore.Entry] {
        let step = (entries.count + mostShown - 1) / mostShown
        return step <= 1 ? entries : stride(from: 0, to: entries.count, by: step).map { entries[$0] }
    }

    private static let mostShown = 3000

    /// The results of the benchmarks' last audit.
    private func benchmarkAudits() -> [BenchmarkAudit] {
        guard recipe.benchmarks != nil, let data = try? Data(contentsOf: folder.result("benchmarks")) else { return [] }
        return (try? JSONCoding.decoder.decode([BenchmarkAudit].self, from: data)) ?? []
    }
}
