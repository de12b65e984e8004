import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortStore
import RetortTraining

/// What a student wrote, and how its quality is learned from.
struct PolicyWork: Sendable {
    /// What decides the quality.
    enum Judge: Sendable {
        /// The grader, relative to the other answers to the same question.
        case grader(RoundPlan.Policy)
        /// A teacher with the same tokenizer, token by token.
        case teacher(RoundPlan.Distance, Scorer)
    }

    /// Where a teacher's probabilities come from.
    enum Scorer: Sendable {
        /// A checkpoint, which computes them in this process.
        case folder(URL)
        /// An endpoint, which has reported them.
        case told(TeacherScores)
    }

    var judge: Judge
    /// The student's samples.
    var draws: [StoredTrajectory]
    /// Where the samples of a task went on from, by its id; empty where they begin with the task.
    var prefixes: [String: VerifiedPrefix] = [:]
    /// The teacher's trajectories, where they are also imitated.
    var lessons: [Lesson] = []

    /// The source of the teacher's probabilities that are learned; nil where the grader's verdicts are.
    var teacher: Scorer? { if case .teacher(_, let scorer) = judge { scorer } else { nil } }

    /// How many of the teacher's likeliest tokens are learned from at each position; 0 learns from the student's own.
    var best: Int {
        if case .teacher(let plan, _) = judge, plan.divergence == .forward { plan.best } else { 0 }
    }

    var epochs: Int {
        switch judge {
        case .grader(let plan): plan.epochs
        case .teacher(let plan, _): plan.epochs
        }
    }

    var learningRate: Double? {
        switch judge {
        case .grader(let plan): plan.learningRate
        case .teacher(let plan, _): plan.learningRate
        }
    }
}

extension StudentRound {
    /// The samples of a loop that did not fail and do not belong to held-out tasks.
    func draws(_ loop: String, without held: Set<String>) async throws -> [StoredTrajectory] {
        try await context.store.entries(in: name(loop)).filter { entry in
            !entry.isBroken && !held.contains(HeldOut.key(entry.trajectory.task))
        }
    }
}

extension Trajectory {
    /// The steps that a view writes exactly as their model did: not those that were cut, or read leniently, nor those
    /// that only repeat another trajectory's.
    fileprivate var writtenSteps: LearnedSteps {
        let written = steps.indices.filter { index in
            if steps[index].isLearned == false { return false }
            if case .drifted = steps[index].transcript { return false }
            return !steps[index].action.isCut
        }
        return written.count == steps.count ? .all : .only(Set(written))
    }
}

extension TrainingThread {
    /// Trains a student on its own samples, by their quality. Without any difference in quality it stays unchanged.
    func reinforce(_ job: TrainingJob, _ work: PolicyWork) throws {
        let progress = ProgressLine(job.name)
        let checkpoint = try Checkpoint(folder: job.base)
        var drawn = try PolicyDraws(work, job, checkpoint)
        let configuration = job.goingOn(
            width: checkpoint.configuration.hiddenSize, samples: drawn.examples.count, epochs: work.epochs,
            rate: work.learningRate)
        let network = try checkpoint.network(dtype: configuration.baseDType, device: .best)
        let trainer = try Trainer(network, configuration: configuration, checkpoints: job.target)
        let scores = try scores(
            drawn.examples, trainer, teacher: work.teacher, best: work.best, in: job.files.scores)
        drawn.judge(scores.student, scores.teacher)
        var examples = drawn.examples
        if !examples.isEmpty {
            progress.note("\(examples.count) of the student's own texts, rate \(configuration.learningRate)")
            examples += try TrainingSet(
                work.lessons, view: job.views[0], template: checkpoint.template, tokenizer: checkpoint.tokenizer,
                limit: job.plan.maximumTokens, overlong: job.plan.overlong
            ).examples
        }
        try goOn(
            job, examples, trainer, network, checkpoint,
            standing: examples.isEmpty
                ? "nothing that the student wrote was better or worse than the rest; it stays as it was" : nil)
    }
}

/// A student's samples for training.
struct PolicyDraws {
    private(set) var examples: [TrainingExample] = []
    /// For each sample, how much better its trajectory was than the others of its task.
    private var advantages: [Double] = []
    private let judge: PolicyWork.Judge

    /// - Parameter checkpoint: the checkpoint whose tokens they are written in.
    init(_ work: PolicyWork, _ job: TrainingJob, _ checkpoint: Checkpoint) throws {
        judge = work.judge
        let byTask = Dictionary(grouping: work.draws, by: \.trajectory.task.id)
        for (task, all) in byTask.sorted(by: { $0.key < $1.key }) {
            let prefix = work.prefixes[task]
            // What only repeats a prefix shows nothing of the student.
            let group = all.filter { prefix?.own($0.trajectory).isEmpty != true }
            let rewards = group.map { prefix?.reward($0) ?? ($0.verdict?.isCorrect == true ? 1 : 0) }
            let advantages = PolicyAdvantages.ofGroup(rewards)
            if case .grader = judge, advantages.allSatisfy({ $0 == 0 }) { continue }
            for (entry, advantage) in zip(group, advantages) {
                let set = try TrainingSet(
                    [Lesson(entry.trajectory, learning: entry.trajectory.writtenSteps)], view: job.views[0],
                    template: checkpoint.template, tokenizer: checkpoint.tokenizer, limit: job.plan.maximumTokens,
                    overlong: .drop)
                examples += set.examples
                self.advantages += set.examples.map { _ in advantage }
            }
        }
    }

    /// Gives every token its advantage.
    mutating func judge(_ student: [[Float]], _ teacher: TeacherScores?) {
        for index in examples.indices {
            var sample = examples[index]
            switch judge {
            case .grader(let plan):
                sample.loss = .policy(
                    PolicyStream(
                        advantages: sample.tokens.map { _ in Float(advantages[index]) }, drawn: student[index],
                        reference: plan.penalty == 0 ? nil : student[index],
                        clip: .init(low: plan.clip, high: plan.clip), penalty: plan.penalty))
            case .teacher(let plan, _):
                var gains = PolicyAdvantages.ofTeacher(
                    teacher?.logProbabilities[index] ?? student[index], student: student[index])
                let factors =
                    plan.weights == .steps
                    ? PolicyAdvantages.stepFactors(gains, weights: sample.weights) : gains.map { _ in 1 }
                if plan.divergence == .forward, let choices = teacher?.choices?[index] {
                    sample.weights = zip(sample.weights, factors).map { $0 * $1 }
                    sample.loss = .distance(choices)
                } else {
                    gains = zip(gains, factors).map { $0 * $1 }
                    sample.loss = .policy(PolicyStream(advantages: gains, drawn: student[index], clip: nil))
                }
            }
            examples[index] = sample
        }
    }
}
