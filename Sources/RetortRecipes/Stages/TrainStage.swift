import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortStore
import RetortTraining

/// Trains a student for a style on the trajectories that pass the filters.
struct TrainStage: Stage {
    let context: RunContext
    let student: Recipe.Student
    let style: Recipe.Style
    let plan: Recipe.TrainingPlan
    /// 0 learns only from the teacher, a later round also from the student's own work.
    var round = 0

    var name: String { Self.name(student, style, round: round) }
    var sources: [String] {
        context.teachers(of: style, plan.validation)
            + rounds.enumerated().flatMap { work($0.offset + 1).lessons($0.element) }
            + (goesOn ? [Self.name(student, style, round: round - 1)] : [])
    }
    private var label: String { StudentRound.label(style, round) }
    private var target: URL { context.folder.checkpoint(student.name, label) }
    /// The rounds that it learns from.
    private var rounds: [RoundPlan] { Array(context.recipe.rounds(of: style).prefix(round)) }

    private func work(_ number: Int) -> StudentRound {
        StudentRound(context: context, student: student, style: style, number: number)
    }

    /// The weights it starts from: the base's, or for a round that continues, those of the previous round.
    private var start: URL {
        !goesOn
            ? URL(fileURLWithPath: student.base) : before?.trained.whole ?? URL(fileURLWithPath: student.base)
    }
    private var before: TrainStage? {
        round == 0 ? nil : TrainStage(context: context, student: student, style: style, plan: plan, round: round - 1)
    }
    private var goesOn: Bool { rounds.last?.goesOn == true }

    /// The trained weights.
    var trained: TrainedStage {
        guard case .lora = plan.configuration.method else { return TrainedStage(name: name, folder: target, base: nil) }
        return TrainedStage(name: name, folder: target, base: start)
    }

    static func name(_ student: Recipe.Student, _ style: Recipe.Style, round: Int = 0) -> String {
        "train/\(student.name)/\(StudentRound.label(style, round))"
    }

    func inputs() async throws -> [StageInput] {
        try context.common() + context.training(plan, from: student.base) + [.view("prompt", context.view(style))]
            + context.shown(to: style) + (rounds.isEmpty ? [] : [.setting("rounds", rounds)]) + scoring()
            + (await context.labels(of: sources))
    }

    /// The weights that score the student's samples.
    private func scoring() throws -> [StageInput] {
        guard rounds.last?.distance != nil, let teacher = context.recipe.teacher else { return [] }
        guard let folder = teacher.folder else {
            return [.text("teacher's model", teacher.identities.joined(separator: ", "))]
        }
        return [try context.weights("teacher's weights", folder)]
    }

    func output() async throws -> String? { try context.digests.modelIfThere(target) }

    func clear() async throws {
        try context.folder.remove(target)
        // These scores belong to another student.
        for file in [results.rate, results.references, results.scores, results.told] { try context.folder.remove(file) }
    }

    private var results: TrainingFiles {
        TrainingFiles(context.folder.url, "\(student.name)-\(label.fileName)")
    }

    func run() async throws -> StageOutcome {
        var divided = try await context.divided(style, plan.validation, reportedAs: style.rawValue)
        var origins: [String: Int]?
        if goesOn, let plan = rounds.last { return try await goOn(plan, divided) }
        if round > 0 {
            let lessons = try await work(round).lessons(besides: divided)
            try lessons.write(to: results.origins)
            // Weights that continued from another student do not belong to the base.
            if !lessons.hasAny(of: round), let before, before.start == start {
                return try stand(before, lessons.counts)
            }
            divided.learned = lessons.lessons
            origins = lessons.counts
        }
        let job = TrainingJob(
            name: name, key: "training.\(style.rawValue)", base: URL(fileURLWithPath: student.base), divided: divided,
            views: [context.view(style)], plan: plan, target: target, files: results,
            keepsSamples: context.keepsSamples, origins: origins)
        try await TrainingThread().run(job)
        return .complete
    }

    /// Continues from the previous round: steps that turned out better are preferred to worse ones, or all samples of
    /// the student are learned by their quality.
    private func goOn(_ round: RoundPlan, _ divided: HeldOut) async throws -> StageOutcome {
        let work = work(self.round)
        let thread = TrainingThread()
        if let parent = before?.trained, let below = parent.base {
            try await thread.merge(parent.folder, into: below, to: parent.whole)
        }
        func job(_ origins: [String: Int]) -> TrainingJob {
            TrainingJob(
                name: name, key: "training.\(style.rawValue)", base: start, divided: divided,
                views: [context.view(style)], plan: plan, target: target, files: results, keepsSamples: false,
                origins: origins)
        }
        if let preference = round.preference {
            let pairs = try await work.pairs(preference, besides: divided)
            let origins = Dictionary(pairs.map { ("pairs of \($0.origin)", 1) }, uniquingKeysWith: +)
            try await thread.prefer(job(origins), preference, pairs)
        } else if let policy = round.policy {
            let draws = try await work.draws("policy", without: divided.heldKeys)
            try await thread.reinforce(
                job(["draws of policy": draws.count]),
                PolicyWork(
                    judge: .grader(policy), draws: draws,
                    prefixes: policy.from == .repair ? try await work.verifiedPrefixes() : [:]))
        } else if let distance = round.distance, let teacher = context.recipe.teacher {
            let draws = try await work.draws("distance", without: divided.heldKeys)
            let lessons = distance.imitation ? divided.learned : []
            var origins = ["draws of distance": draws.count]
            if distance.imitation { origins["teacher"] = lessons.count }
            let scorer = try await scorer(teacher, distance, draws, job(origins))
            try await thread.reinforce(
                job(origins), PolicyWork(judge: .teacher(distance, scorer), draws: draws, lessons: lessons))
        }
        return .complete
    }

    /// The source of the teacher's probabilities of the student's samples: a checkpoint here, or an endpoint, which is
    /// asked now.
    private func scorer(
        _ teacher: TeacherPlan, _ distance: RoundPlan.Distance, _ draws: [StoredTrajectory], _ job: TrainingJob
    ) async throws -> PolicyWork.Scorer {
        if let folder = teacher.folder { return .folder(URL(fileURLWithPath: folder)) }
        let examples = try PolicyDraws(
            PolicyWork(judge: .teacher(distance, .told(TeacherScores(logProbabilities: []))), draws: draws), job,
            Checkpoint(folder: job.base)
        ).examples
        var scores = try await context.endpointScores(teacher, results.told)
        scores.best = distance.divergence == .forward ? distance.best : 0
        return .told(try await scores.scores(of: examples, progress: ProgressLine(name)))
    }

    /// Ends a round that found nothing to learn from: the student is that of the previous round.
    private func stand(_ before: TrainStage, _ origins: [String: Int]) throws -> StageOutcome {
        let words = "round \(round) found nothing new to learn from; the student stays as it was"
        ProgressLine(name).note(words)
        let unfinished = target.appendingPathExtension("unfinished")
        try context.folder.remove(unfinished)
        try context.folder.remove(target)
        try FileManager.default.copyItem(at: before.target, to: unfinished)
        try FileManager.default.moveItem(at: unfinished, to: target)
        if var record = TrainingRecord.of(stage: before.name, in: context.folder.url) {
            (record.standing, record.origins) = (words, origins)
            try AtomicFile.write(JSONCoding.prettyEncoder.encode(record), to: results.record)
        }
        return .complete
    }
}

extension RunContext {
    /// The teacher behind endpoints as a source of probabilities, within the run's budget.
    func endpointScores(_ teacher: TeacherPlan, _ file: URL) async throws -> EndpointScores {
        let asked = try await workshop.teacher(teacher, stored: try await storedTeaching())
        return EndpointScores(teacher: asked.model, file: file, width: teacher.concurrency)
    }

    /// What training depends on, besides what is learned from.
    /// - Parameter base: the folder of the weights it starts from.
    func training(_ plan: Recipe.TrainingPlan, from base: String) throws -> [StageInput] {
        let chosen = plan.open?.words ?? [:]
        let said = try StageInput.settings("training", plan.configuration).filter { chosen[$0.name] == nil }
        var inputs = [try weights("base weights", base)] + said
        inputs += chosen.sorted { $0.key < $1.key }.map { .text($0.key, $0.value) }
        if let factor = plan.open?.rateFactor, factor != 1 {
            inputs.append(try .setting("training.rateFactor", factor))
        }
        inputs +=
            try plan.validation.map { try StageInput.settings("training.validation", $0) }
            ?? [.text("training.validation", "none")]
        inputs += [
            try .setting("training.maxTokens", plan.maximumTokens), .text("training.overlong", plan.overlong.rawValue),
        ]
        // An adapter refers to its base by its path.
        if case .lora = plan.configuration.method {
            inputs.append(.text("base's folder", URL(fileURLWithPath: base).standardizedFileURL.path))
        }
        return inputs + (try StageInput.settings("filter", recipe.filter ?? FilterPlan()))
    }

    /// The lessons of a set; the other trajectories go to `results/filter-NAME.json` with the reason.
    /// - Throws: `RunError.nothingToTrainOn`.
    func filtered(_ entries: [StoredTrajectory], reportedAs name: String) throws -> [Lesson] {
        let (kept, dropped) = TrajectoryFilter(recipe.filter ?? FilterPlan()).split(entries)
        try AtomicFile.write(JSONCoding.prettyEncoder.encode(dropped), to: folder.result("filter-\(name.fileName)"))
        guard !kept.isEmpty else { throw RunError.nothingToTrainOn(style: name, of: entries.count) }
        return kept.map(lesson)
    }

    /// What is learned from a trajectory that passed the filters.
    func lesson(_ trajectory: Trajectory) -> Lesson { (recipe.filter ?? FilterPlan()).lesson(trajectory) }
}

extension String {
    /// `cot+rag` as part of a file's name.
    var fileName: String { replacing("+", with: "-") }
}
