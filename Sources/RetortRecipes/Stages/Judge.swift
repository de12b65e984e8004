import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

extension RecipeRun {
    /// Has the recipe's judge grade the factual answers of a set, and stores its verdicts beside those that are there.
    ///
    /// The judge's replies are kept on a tape, so a question is paid once, however often the stage is begun. An answer that
    /// the judge fails on is left without its verdict, and counted.
    /// - Parameter upstream: the hash of the stage that made the set.
    func judge(_ set: String, of upstream: String) async throws {
        guard let plan = recipe.judge else { return }
        try await stage("judge/\(set)", hash: Self.hash(plan.asking, upstream)) {
            let judged = try await store.entries(in: set).filter { $0.judge != nil }
            try await store.save(
                judged.map { StoredTrajectory(trajectory: $0.trajectory, verdict: $0.verdict) }, in: set)
        } body: {
            let judge = try await modelJudge(plan)
            let open = try await store.entries(in: set).filter { $0.judge == nil && $0.hasFactualAnswer }
            let progress = ProgressLine("judge/\(set)")
            var done = 0
            var faults: [String: Int] = [:]
            let store = store
            try await withThrowingTaskGroup(of: (entry: StoredTrajectory, fault: String?).self) { group in
                var waiting = open[...]
                var working = 0
                while working > 0 || !waiting.isEmpty {
                    while working < plan.access.concurrency, let entry = waiting.popFirst() {
                        working += 1
                        group.addTask { try await judge.judged(entry) }
                    }
                    guard let (entry, fault) = try await group.next() else { break }
                    working -= 1
                    done += 1
                    if let fault { faults[fault, default: 0] += 1 } else { try await store.save([entry], in: set) }
                    progress.show(done, of: open.count)
                }
            }
            if let kappa = judge.agreement.kappa {
                progress.note(String(format: "its votes agree with Fleiss' kappa %.2f", kappa))
            }
            for (fault, count) in faults.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }).prefix(5) {
                progress.note("\(count) answers could not be judged: \(fault)")
            }
        }
    }

    /// The verdict that counts.
    func grade(of entry: StoredTrajectory) -> Verdict {
        let own = entry.verdict ?? Verdict(isCorrect: false, reason: "not graded")
        return recipe.judge?.decides == true ? entry.judge ?? own : own
    }

    /// How the judge's verdicts on a student's systems stand to exact match and word overlap.
    func judgedSystems(_ student: Recipe.Student) async throws -> [JudgedSystem] {
        var systems: [JudgedSystem] = []
        for system in recipe.evaluation.systems {
            let entries = try await store.entries(in: Self.evaluationSet(student, system)).filter(\.hasFactualAnswer)
            systems.append(
                JudgedSystem(
                    student: student.name, system: system.rawValue,
                    entries.map { entry in
                        let exact = entry.verdict ?? Verdict(isCorrect: false, reason: "not graded")
                        return (entry.trajectory, exact, entry.judge)
                    }))
        }
        return systems
    }

    /// The judge, opened when it is first needed.
    private func modelJudge(_ plan: JudgePlan) async throws -> ModelJudge {
        if let openJudge { return openJudge }
        var access = plan.access
        if access.cassette == nil { access.cassette = .init(file: folder.judgeFile.path, mode: .record) }
        let model = try await EndpointTeacher(access, tools: [], spent: Usage()).model
        let held: any LanguageModel =
            plan.asking.structured
            ? ConstrainedModel(model, to: .json(try JSONSchema(ModelJudge.replySchema))) : model
        let judge = ModelJudge(
            held, votes: plan.asking.votes, temperature: plan.asking.temperature,
            asking: plan.asking.matches ? .all : .unmatched)
        openJudge = judge
        return judge
    }
}

extension StoredTrajectory {
    /// Whether there is something for a judge of factual answers.
    fileprivate var hasFactualAnswer: Bool {
        trajectory.task.family == .factual && !trajectory.task.answers.isEmpty && trajectory.answer?.isEmpty == false
    }
}

extension ModelJudge {
    /// The entry with the judge's verdict, or why there is none.
    /// - Throws: errors that halt the run, `CancellationError`.
    fileprivate func judged(_ entry: StoredTrajectory) async throws -> (StoredTrajectory, String?) {
        var entry = entry
        do {
            entry.judge = try await judge(entry.trajectory.answer, for: entry.trajectory.task)
            return (entry, nil)
        } catch {
            if error is CancellationError || Task.isCancelled { throw CancellationError() }
            if (error as? any RunHalting)?.haltsRun == true { throw error }
            return (entry, "\(error)")
        }
    }
}
