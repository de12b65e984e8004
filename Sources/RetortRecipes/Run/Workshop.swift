import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortPython
import RetortStore

/// What stages work with, opened when it is first needed and then shared. Stages run one after the other and ask once, so
/// nothing is opened twice; for the interpreter, a stage's agents ask all at once.
actor Workshop {
    private let recipe: Recipe
    private let folder: RunFolder
    private let source: TaskSource
    private let store: TrajectoryStore
    private let sandbox: SandboxLevel
    private let sharing: (any WorkSharing)?
    private let interpreter: SharedInterpreter
    private var openTeacher: EndpointTeacher?
    private var openJudge: ModelJudge?
    private var openRubricJudge: RubricJudge?
    private var openJudgingModel: (any LanguageModel)?
    private var openGrader: (any TrajectoryGrader)?
    private var openBenchmarkGrader: FamilyGrader?
    private var benchmarkTasks: [AgentTask]?
    private var ledger: SpendingLedger?

    /// - Parameters:
    ///   - sandbox: the weakest acceptable sandbox for model-written programs.
    ///   - sharing: reports what other processes spend from the same budgets.
    init(
        _ recipe: Recipe, _ folder: RunFolder, _ source: TaskSource, _ store: TrajectoryStore,
        requiring sandbox: SandboxLevel, sharing: (any WorkSharing)? = nil
    ) {
        self.sharing = sharing
        interpreter = SharedInterpreter(
            limits: PythonLimits(seconds: recipe.evaluation.programSeconds), requiring: sandbox)
        (self.recipe, self.folder, self.source, self.store, self.sandbox) = (recipe, folder, source, store, sandbox)
    }

    /// The interpreter: the domain's, or a shared one.
    func python() async throws -> PythonInterpreter {
        if let own = source.domain.interpreter { return own }
        return try await interpreter.started()
    }

    /// The deciding grader: the domain's, or the usual one.
    func grader() async throws -> any TrajectoryGrader {
        if let openGrader { return openGrader }
        let usual = try await benchmarkGrader()
        let judge = recipe.domain.isJudged ? try await rubricJudge() : nil
        let grader = source.domain.grader(symbolic: nil, judge: judge) ?? usual
        openGrader = grader
        return grader
    }

    /// The graders reported in addition, by name.
    func otherGraders() async throws -> [(name: String, grader: any TrajectoryGrader)] {
        let asksModel = recipe.domain.otherGraders.contains { $0.kind == .judge }
        return source.domain.otherGraders(symbolic: nil, judge: asksModel ? try await rubricJudge() : nil)
    }

    /// The usual graders: with SymPy in its sandbox when a recipe has benchmarks, whose answers may need algebra.
    private func benchmarkGrader() async throws -> FamilyGrader {
        if let openBenchmarkGrader { return openBenchmarkGrader }
        guard let plan = recipe.benchmarks else { return FamilyGrader() }
        let judge = try await SymbolicJudge(requiring: sandbox)
        let grader = FamilyGrader(judge: judge, compatibility: plan.compatibility)
        openBenchmarkGrader = grader
        return grader
    }

    /// The teacher behind endpoints; the spending of earlier runs counts.
    /// - Parameter stored: the cost of the stored trajectories, for folders that are older than the ledger.
    func teacher(_ plan: TeacherPlan, stored: Usage) async throws -> EndpointTeacher {
        if let openTeacher { return openTeacher }
        let ledger = try spending()
        let noted = ledger.spent(for: "teacher")
        let isNoted = noted.promptTokens + noted.completionTokens > 0
        let opened = try await EndpointTeacher(
            plan, tools: source.tools, spent: spent(isNoted ? noted : stored), record: recorder(ledger, "teacher"))
        try await sharing?.join(opened.budget, for: "teacher", own: spent(isNoted ? noted : stored))
        openTeacher = opened
        return opened
    }

    /// The judge of factual answers. Endpoints' replies are kept on a tape, so each question is paid once.
    func judge(_ plan: JudgePlan) async throws -> ModelJudge {
        if let openJudge { return openJudge }
        let model = try await judgingModel(plan)
        let judge = ModelJudge(
            model, votes: plan.asking.votes, temperature: plan.asking.temperature,
            asking: plan.asking.matches ? .all : .unmatched)
        openJudge = judge
        return judge
    }

    /// The judge by the domain's rubrics; nil when the recipe names no judge.
    private func rubricJudge() async throws -> RubricJudge? {
        if let openRubricJudge { return openRubricJudge }
        guard let plan = recipe.judge else { return nil }
        let judge = RubricJudge(
            try await judgingModel(plan), votes: plan.asking.votes, temperature: plan.asking.temperature)
        openRubricJudge = judge
        return judge
    }

    /// The model that judges, through its tape and within its budget.
    private func judgingModel(_ plan: JudgePlan) async throws -> any LanguageModel {
        if let openJudgingModel { return openJudgingModel }
        var access = plan.access
        if access.cassette == nil, access.folder == nil {
            access.cassette = .init(file: folder.judgeFile.path, mode: .record)
        }
        let ledger = try spending()
        let own = spent(ledger.spent(for: "judge"))
        let judge = try await EndpointTeacher(
            access, tools: [], spent: own, judges: true, record: recorder(ledger, "judge"))
        try await sharing?.join(judge.budget, for: "judge", own: own)
        let model = judge.model
        let held: any LanguageModel =
            plan.asking.structured
            ? ConstrainedModel(model, to: .json(try JSONSchema(ModelJudge.replySchema))) : model
        openJudgingModel = held
        return held
    }

    /// The tasks that students are measured on: the domain's own tests and the recipe's benchmarks.
    ///
    /// Before the first evaluation each benchmark is audited: the audit goes to `results/benchmarks.json`, and a
    /// benchmark whose answers the grader cannot tell from others' ends the run.
    func tests() async throws -> [AgentTask] {
        guard let plan = recipe.benchmarks else { return source.tests }
        if let benchmarkTasks { return source.tests + benchmarkTasks }
        let progress = ProgressLine("benchmarks")
        let imported = try await TestOverlap.imported(store)
        let training = TrainingText(source.train.map(\.question) + imported)
        let grader = try await benchmarkGrader()
        var tasks: [AgentTask] = []
        var audits: [BenchmarkAudit] = []
        for name in plan.names {
            let (audit, questions) = try await BenchmarkAudit.of(
                Benchmark.named(name), in: URL(fileURLWithPath: plan.folder), grader: grader, training: training)
            audits.append(audit)
            tasks += plan.limit.map { Array(questions.prefix($0)) } ?? questions
        }
        for remark in BenchmarkTable.remarks(audits) { progress.note(remark) }
        try AtomicFile.write(JSONCoding.prettyEncoder.encode(audits), to: folder.result("benchmarks"))
        progress.note("\(tasks.count) questions of \(plan.names.count) benchmarks")
        benchmarkTasks = tasks
        return source.tests + tasks
    }

    /// The spending that counts as this process's own. A worker's spending was reported to all others when it occurred.
    private func spent(_ noted: Usage) -> Usage { sharing?.plans == false ? Usage() : noted }

    private func recorder(_ ledger: SpendingLedger, _ account: String) -> @Sendable (Usage) throws -> Void {
        let sharing = sharing
        return { usage in
            try ledger.add(usage, for: account)
            sharing?.spent(usage, for: account)
        }
    }

    private func spending() throws -> SpendingLedger {
        if let ledger { return ledger }
        let opened = try SpendingLedger(folder.spendingFile)
        ledger = opened
        return opened
    }
}
