import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortTensor
import RetortTraining

/// A sample in the form for other trainers.
private struct WrittenSample: Encodable {
    let id: String
    let tokens: [Int32]
    let trainable: [Bool]
}

/// Trains on a thread of its own, so that Swift's few cooperative threads stay free.
actor TrainingThread {
    private nonisolated let executor = EngineExecutor(name: "retort.training")

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    deinit { executor.finish() }

    func run(_ job: TrainingJob) throws {
        let checkpoint = try Checkpoint(folder: job.base)
        let progress = ProgressLine(job.name)
        let set = try samples(job.divided.learned, job, checkpoint, progress)
        guard let first = set.examples.first else {
            throw Preflight.Refusal.overlong(
                count: set.overlong, dropped: set.dropped, limit: job.plan.maximumTokens)
        }
        progress.note(
            "\(set.examples.count) samples, \(set.tokenCount) tokens; trainable text in ⟦ ⟧, the first sample:\n"
                + Preflight.display(first, tokenizer: checkpoint.tokenizer))
        try Preflight.check(set.examples)
        let longest = set.examples.map(\.tokens.count).max() ?? 0
        if job.keepsSamples { try write(set, to: job.files.samples) }
        let settled = job.plan.settled(
            job.key, width: checkpoint.configuration.hiddenSize, samples: set.examples.count)
        if let choice = settled.choice { progress.note(choice) }
        if let note = job.divided.note { progress.note(note) }
        var configuration = settled.configuration
        let rows = EpochRows(
            set.examples, epochs: configuration.epochs, rowTokens: configuration.rowTokens, seed: configuration.seed)
        let heldOut = try heldOut(job, checkpoint, progress, rowTokens: configuration.rowTokens)
        let updates = configuration.updates(of: rows.rowCount ?? 0)
        if heldOut != nil { configuration.validation = job.plan.validation?.plan(updates: updates) }
        if let note = Self.fewUpdates(updates, samples: set.examples.count, configuration) { progress.note(note) }
        if let note = Self.lengths(longest, checkpoint.configuration, configuration.method) { progress.note(note) }
        let network = try checkpoint.network(dtype: configuration.baseDType, device: .best)
        if case .lora(let lora) = configuration.method {
            try LoRATargets.check(
                lora.targets ?? [], among: network.projections.map(\.name), training: job.name)
        }
        let trainer = try Trainer(network, configuration: configuration, checkpoints: job.target)
        let found = try blamingWeights(of: checkpoint) { try rate(job, trainer, set, progress) }
        if let note = trainer.note(on: rows) { progress.note(note) }
        var last: Trainer.Progress?
        let outcome = try blamingWeights(of: checkpoint) {
            try trainer.train(rows, heldOut: heldOut?.samples) { step in
                progress.show(
                    step.update, of: step.updates,
                    String(format: "loss %.3f  %.0f tokens/s", step.loss, step.rate),
                    figures: ["loss": step.loss, "tokensPerSecond": step.rate])
                last = step
            } looked: { curve in
                progress.note(Self.words(curve))
            }
        }
        try write(network, checkpoint, job, configuration.method, longest: longest)
        try AtomicFile.write(JSONCoding.encoder.encode(outcome.losses), to: job.files.loss)
        var record = TrainingRecord(last, samples: set.examples.count)
        (record.plan, record.choice, record.rangeTest) = (trainer.configuration, settled.choice, found)
        record.processes = trainer.processes > 1 ? trainer.processes : nil
        record.optimizerBytes = trainer.dividesMoments ? trainer.optimizerBytes : nil
        record.dropped = DroppedSamples(set)
        record.origins = job.origins
        record.maximumTokens = job.plan.maximumTokens
        (record.planned, record.updates, record.kept) = (outcome.planned, outcome.losses.count, outcome.kept)
        if let heldOut {
            (record.heldOutSamples, record.heldOutTasks) = (heldOut.count, job.divided.tasks)
            record.validation = outcome.curve
        }
        try AtomicFile.write(JSONCoding.prettyEncoder.encode(record), to: job.files.record)
        if let ending = record.ending { progress.note(ending) }
        trainer.discardCheckpoint()
    }

    /// Where losses or gradients are no numbers, because weights of the base were none before: names these weights.
    private func blamingWeights<Result>(of checkpoint: Checkpoint, _ work: () throws -> Result) throws -> Result {
        do {
            return try work()
        } catch let error as TrainerError where error.isNotFinite {
            throw try checkpoint.notFinite() ?? error
        }
    }

    // MARK: Before

    private func samples(
        _ lessons: [Lesson], _ job: TrainingJob, _ checkpoint: Checkpoint, _ progress: ProgressLine
    ) throws -> TrainingSet {
        var set = TrainingSet([])
        for view in job.views {
            set += try TrainingSet(
                lessons, view: view, template: checkpoint.template, tokenizer: checkpoint.tokenizer,
                limit: job.plan.maximumTokens, overlong: job.plan.overlong)
        }
        if set.overlong > 0 {
            progress.note(
                "\(set.overlong) of \(set.examples.count + set.dropped) samples are longer than \(job.plan.maximumTokens) tokens: "
                    + "\(set.dropped) dropped, \(set.shortened) with shorter observations, \(set.split) ended at a turn"
            )
            if let warning = DroppedSamples(set)?.warning(
                limit: job.plan.maximumTokens, positions: checkpoint.configuration.maximumPositions)
            {
                progress.note(warning)
            }
        }
        return set
    }

    /// What happens to samples that are longer than the base's context; nil where there are none.
    private static func lengths(
        _ longest: Int, _ base: DecoderConfiguration, _ method: TrainingConfiguration.Method
    ) -> String? {
        guard longest > base.maximumPositions else { return nil }
        let samples = "the longest sample has \(longest) tokens, and the base reads \(base.maximumPositions)"
        if case .full = method, base.reading(longest).maximumPositions == longest {
            return "\(samples); the student will read \(longest)"
        }
        return
            "WARNING: \(samples): a prompt as long as that cannot be put to the student. Train all its weights, take a base "
            + "with a longer context, or lower maxTokens."
    }

    /// What is said of a plan that learns in few steps although its rows, which samples with a common beginning share, could be learned from
    /// in more; nil elsewhere.
    /// - Parameter updates: of the whole training.
    static func fewUpdates(_ updates: Int, samples: Int, _ configuration: TrainingConfiguration) -> String? {
        let each = samples * configuration.epochs / max(updates, 1)
        guard updates < 30, each > 32 else { return nil }
        return
            "WARNING: only \(updates) updates, of about \(each) samples each: it may learn more in more steps. Lower 'accumulation' "
            + "(\(configuration.accumulation)) or 'rowTokens' (\(configuration.rowTokens))."
    }

    private func write(_ set: TrainingSet, to file: URL) throws {
        let lines = try set.examples.map { example in
            let sample = WrittenSample(id: example.id, tokens: example.tokens, trainable: example.trainable)
            return String(decoding: try JSONCoding.encoder.encode(sample), as: UTF8.self) + "\n"
        }
        try AtomicFile.write(Data(lines.joined().utf8), to: file)
    }

    /// The held-out samples; nil where the plan holds none out.
    /// - Throws: `RunError.nothingToLookAt` where every one of them is too long.
    private func heldOut(
        _ job: TrainingJob, _ checkpoint: Checkpoint, _ progress: ProgressLine, rowTokens: Int
    ) throws -> (samples: HeldOutSamples, count: Int)? {
        guard job.plan.validation != nil, !job.divided.held.isEmpty else { return nil }
        let set = try samples(job.divided.held, job, checkpoint, progress)
        let samples = HeldOutSamples(set.examples, rowTokens: rowTokens)
        guard samples.targets > 0 else {
            throw RunError.nothingToLookAt(
                style: job.name, tasks: job.divided.tasks,
                why: "all samples are longer than \(job.plan.maximumTokens) tokens or teach nothing here")
        }
        return (samples, set.examples.count)
    }

    private static func words(_ curve: ValidationCurve) -> String {
        guard let last = curve.points.last, let best = curve.best else { return "" }
        let loss = String(format: "held-out loss %.4f after update %d", last.loss, last.update)
        if best == last { return loss + (curve.points.count > 1 ? ", the smallest so far" : "") }
        return loss + String(format: ", not below %.4f after update %d", best.loss, best.update)
    }

    // MARK: The rate

    /// Sets the trainer's rate by a range test, where the plan asks for one. The curve is kept, and read again when the
    /// training continues.
    /// - Returns: the result, for people.
    private func rate(
        _ job: TrainingJob, _ trainer: Trainer, _ set: TrainingSet, _ progress: ProgressLine
    ) throws -> String? {
        guard job.plan.open?.learningRate == .byRangeTest else { return nil }
        let usual = trainer.configuration.learningRate
        let kept = (try? Data(contentsOf: job.files.rate)).flatMap {
            try? JSONCoding.decoder.decode(RateTrial.self, from: $0)
        }
        let trial: RateTrial
        if let kept, try kept.isOf(trainer.configuration) {
            trial = kept
        } else {
            let plan = RateRangeTest.Plan(
                from: SizeDial.rounded(usual / 100), to: SizeDial.rounded(usual * 100))
            progress.note("looks for a learning rate: \(plan.updates) updates at rates from \(plan.from) to \(plan.to)")
            let rows = RateTrial.rows(set, trainer.configuration, updates: plan.updates)
            trial = RateTrial(
                configuration: trainer.configuration, test: try trainer.rangeTest(plan, rows: rows), usual: usual)
            try AtomicFile.write(JSONCoding.prettyEncoder.encode(trial), to: job.files.rate)
        }
        trainer.use(learningRate: trial.rate)
        progress.note(trial.words)
        return trial.words
    }

    // MARK: After

    func write(
        _ network: DecoderNetwork, _ checkpoint: Checkpoint, _ job: TrainingJob,
        _ method: TrainingConfiguration.Method, longest: Int
    ) throws {
        switch method {
        case .full:
            try Checkpoint.write(
                network, dtype: .float32, tokenizerFrom: checkpoint.folder, positions: longest, to: job.target)
        case .lora(let lora):
            let adapter = AdapterConfiguration(
                baseModel: checkpoint.folder.standardizedFileURL.path, rank: lora.rank, alpha: lora.alpha,
                dropout: lora.dropout,
                // The names of what was trained, whatever the recipe calls it.
                targets: Set(
                    network.projections.filter { $0.linear.adapter != nil }
                        .compactMap { $0.name.split(separator: ".").last.map(String.init) }
                ).sorted())
            try AdapterFile.write(network, adapter, over: checkpoint.folders.base, to: job.target)
        }
    }

    /// Writes an adapter merged into its base, for stages that continue from it, unless that was done before.
    func merge(_ adapter: URL, into base: URL, to target: URL) throws {
        guard !FileManager.default.fileExists(atPath: target.path) else { return }
        // An interruption leaves the unfinished name behind, which is written again.
        let unfinished = target.appendingPathExtension("unfinished")
        try? FileManager.default.removeItem(at: unfinished)
        try Checkpoint.write(
            Checkpoint(folder: adapter).network(), dtype: .float32, tokenizerFrom: base, to: unfinished)
        try FileManager.default.moveItem(at: unfinished, to: target)
    }
}
