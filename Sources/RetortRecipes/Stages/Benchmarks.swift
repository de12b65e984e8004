import Foundation
import RetortCore
import RetortEvaluation
import RetortPython

extension RecipeRun {
    /// What students are measured on: the source's own tests and the recipe's benchmarks.
    ///
    /// Before the first evaluation each benchmark is looked through: the audit goes to `results/benchmarks.json`, and one
    /// whose answers the grader does not know from others' ends the run.
    func tests() async throws -> [AgentTask] {
        guard let plan = recipe.benchmarks else { return source.tests }
        if let benchmarkTasks { return source.tests + benchmarkTasks }
        let progress = ProgressLine("benchmarks")
        let data = URL(fileURLWithPath: plan.folder)
        let training = TrainingText(source.train.map(\.question))
        let grader = try await grader()
        var tasks: [AgentTask] = []
        var audits: [BenchmarkAudit] = []
        for name in plan.names {
            let (audit, questions) = try await BenchmarkAudit.of(
                Benchmark.named(name), in: data, grader: grader, training: training)
            audits.append(audit)
            tasks += plan.limit.map { Array(questions.prefix($0)) } ?? questions
        }
        for remark in BenchmarkTable.remarks(audits) { progress.note(remark) }
        try AtomicFile.write(JSONCoding.prettyEncoder.encode(audits), to: folder.result("benchmarks"))
        progress.note("\(tasks.count) questions of \(plan.names.count) benchmarks")
        benchmarkTasks = tasks
        return source.tests + tasks
    }

    /// What was found in the benchmarks' files when they were last looked through.
    func benchmarkAudits() -> [BenchmarkAudit] {
        guard recipe.benchmarks != nil, let data = try? Data(contentsOf: folder.result("benchmarks")) else { return [] }
        return (try? JSONCoding.decoder.decode([BenchmarkAudit].self, from: data)) ?? []
    }

    /// What grades: with SymPy in its sandbox when a recipe has benchmarks, whose answers may need algebra.
    func grader() async throws -> FamilyGrader {
        if let openGrader { return openGrader }
        guard let plan = recipe.benchmarks else { return FamilyGrader() }
        let judge = try await SymbolicJudge(requiring: sandbox)
        let grader = FamilyGrader(judge: judge, compatibility: plan.compatibility)
        openGrader = grader
        return grader
    }
}
