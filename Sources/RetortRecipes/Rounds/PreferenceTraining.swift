import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortTraining

/// A pair as written in `results/pairs-STUDENT-KIND.jsonl`.
private struct WrittenPair: Encodable {
    let origin, task: String
    /// The index of the two steps.
    let step: Int
    let chosen, rejected: String

    init(_ pair: PreferencePair) {
        (origin, task, step) = (pair.origin, pair.chosen.task.id, pair.chosen.steps.count - 1)
        chosen = pair.chosen.steps.last?.action.canonicalText ?? ""
        rejected = pair.rejected.steps.last?.action.canonicalText ?? ""
    }
}

extension StudentRound {
    /// The pairs of all earlier rounds, and of this one's forks.
    func pairs(_ plan: RoundPlan.Preference, besides divided: HeldOut) async throws -> [PreferencePair] {
        var pairs: [PreferencePair] = []
        for (index, earlier) in context.recipe.rounds(of: style).prefix(number).enumerated() {
            let round = StudentRound(context: context, student: student, style: style, number: index + 1)
            if earlier.repair != nil {
                pairs += PreferencePairs.repairs(try await context.store.entries(in: round.name(RepairStage.loop)))
            }
            if earlier.rejection != nil {
                let drawn = try await context.store.entries(in: round.name(RejectionStage.loop))
                pairs += PreferencePairs.samples(drawn)
                if plan.teacher {
                    pairs += PreferencePairs.taught(divided.learned.map(\.trajectory), against: drawn)
                }
            }
            if earlier.preference?.forks == true {
                pairs += PreferencePairs.forks(try await context.store.entries(in: round.name(ForkStage.loop)))
            }
        }
        // A step that states the answer before anything showed it must not be preferred.
        let leaks = (context.recipe.filter ?? FilterPlan()).dropsLeaks
        let sound = pairs.filter { !leaks || !AnswerLeak.isIn($0.chosen) }
        return PreferencePairs.chosen(sound, each: plan.each, without: divided.heldKeys)
    }
}

extension TrainingThread {
    /// Trains a student to prefer steps to others. Without pairs it stays unchanged.
    func prefer(_ job: TrainingJob, _ plan: RoundPlan.Preference, _ pairs: [PreferencePair]) throws {
        let progress = ProgressLine(job.name)
        let checkpoint = try Checkpoint(folder: job.base)
        let samples = try PreferenceSamples(pairs, plan, job, checkpoint)
        if let note = samples.note { progress.note(note) }
        try JSONLines.write(pairs.map(WrittenPair.init), to: job.files.pairs)
        let configuration = job.goingOn(
            width: checkpoint.configuration.hiddenSize, samples: samples.examples.count, epochs: plan.epochs,
            rate: plan.learningRate)
        let network = try checkpoint.network(dtype: configuration.baseDType, device: .best)
        let trainer = try Trainer(network, configuration: configuration, checkpoints: job.target)
        let examples = try referring(samples.examples, trainer, job.files.references)
        progress.note("\(samples.pairs) pairs, \(plan.loss.rawValue), rate \(configuration.learningRate)")
        try goOn(
            job, examples, trainer, network, checkpoint,
            standing: examples.isEmpty
                ? "no pair of steps to prefer one of was found; the student stays as it was" : nil)
    }

    /// The samples with their log-probabilities before training.
    private func referring(
        _ examples: [TrainingExample], _ trainer: Trainer, _ file: URL
    ) throws -> [TrainingExample] {
        let scores = try scores(examples, trainer, in: file)
        return zip(examples, scores.student).map { example, values in
            guard case .preference(var preference) = example.loss else { return example }
            var example = example
            preference.reference = TextScores.sum(values, weighted: example)
            example.loss = .preference(preference)
            return example
        }
    }
}

/// Pairs as samples: for each step the chat before it, and the step to be learned.
struct PreferenceSamples {
    private(set) var examples: [TrainingExample] = []
    /// The number of pairs that can be learned from.
    private(set) var pairs = 0
    /// What was left out; nil where nothing was.
    private(set) var note: String?

    init(
        _ pairs: [PreferencePair], _ plan: RoundPlan.Preference, _ job: TrainingJob, _ checkpoint: Checkpoint
    ) throws {
        let found = try pairs.map { pair in
            (try Self.sample(pair.chosen, job, checkpoint), try Self.sample(pair.rejected, job, checkpoint))
        }
        let whole = found.compactMap { chosen, rejected in chosen.flatMap { a in rejected.map { (a, $0) } } }
            // Steps with the same text are no choice, however they were parsed.
            .filter { $0.tokens != $1.tokens }
        self.pairs = whole.count
        if whole.count < pairs.count {
            note =
                "\(pairs.count - whole.count) of \(pairs.count) pairs are left out: longer than "
                + "\(job.plan.maximumTokens) tokens, not to be written in this view, or alike"
        }
        switch plan.loss {
        case .dpo:
            for (index, (chosen, rejected)) in whole.enumerated() {
                examples += [(chosen, Preference.Side.chosen), (rejected, .rejected)].map { sample, side in
                    Self.judged(sample, side, plan, unit: "pair \(index)")
                }
                examples += Self.imitated(chosen, plan, unit: "pair \(index)")
            }
        case .kto:
            var known: Set<[Int32]> = []
            let sides = whole.flatMap { [($0.0, Preference.Side.good), ($0.1, .bad)] }
                .filter { known.insert($0.0.tokens).inserted }
            for (index, (sample, side)) in sides.enumerated() {
                let unit = "text \(index)"
                examples.append(Self.judged(sample, side, plan, unit: unit))
                if side == .good { examples += Self.imitated(sample, plan, unit: unit) }
                guard sides.count > 1 else { continue }
                // How far the student has moved shows on a text that does not belong to the prompt (section 4.1 of the
                // paper).
                let other = sides[(index + 1) % sides.count].0
                examples.append(Self.judged(Self.crossed(sample, other), .baseline, plan, unit: unit))
            }
        }
    }

    /// A trajectory whose last step is the one to learn; nil where it is too long, or the view has no sample of it.
    private static func sample(
        _ trajectory: Trajectory, _ job: TrainingJob, _ checkpoint: Checkpoint
    ) throws -> TrainingExample? {
        guard let view = job.views.first else { return nil }
        return try TrainingSet(
            [Lesson(trajectory, learning: .only([trajectory.steps.count - 1]))], view: view,
            template: checkpoint.template, tokenizer: checkpoint.tokenizer, limit: job.plan.maximumTokens,
            overlong: .drop
        ).examples.last
    }

    private static func judged(
        _ sample: TrainingExample, _ side: Preference.Side, _ plan: RoundPlan.Preference, unit: String
    ) -> TrainingExample {
        var sample = sample
        sample.loss = .preference(Preference(side, reference: 0, beta: plan.beta))
        sample.unit = unit
        return sample
    }

    /// A better step as a sample to imitate; none where the comparison is all.
    private static func imitated(
        _ sample: TrainingExample, _ plan: RoundPlan.Preference, unit: String
    ) -> [TrainingExample] {
        guard let share = plan.imitation else { return [] }
        return [
            TrainingExample(
                id: sample.id, tokens: sample.tokens, weights: sample.weights.map { $0 * Float(share) },
                unit: unit)
        ]
    }

    /// One sample's prompt with another one's text.
    private static func crossed(_ sample: TrainingExample, _ other: TrainingExample) -> TrainingExample {
        let prompt = sample.tokens.prefix(sample.weights.firstIndex { $0 != 0 } ?? 0)
        let start = other.weights.firstIndex { $0 != 0 } ?? 0
        return TrainingExample(
            id: sample.id, tokens: Array(prompt) + Array(other.tokens[start...]),
            weights: prompt.map { _ in 0 } + Array(other.weights[start...]))
    }
}
