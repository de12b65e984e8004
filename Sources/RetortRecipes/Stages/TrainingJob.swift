import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortTensor
import RetortTraining

/// All that one training stage needs.
struct TrainingJob: Sendable {
    let name: String
    let base: URL
    let trajectories: [Trajectory]
    /// What the student learns to see and say; several are learned together.
    let views: [any View]
    let plan: Recipe.TrainingPlan
    let target: URL
    let lossFile: URL
    /// Whether the samples' tokens are written, too.
    let keepsSamples: Bool

    /// What the training took: `training-STUDENT-KIND.json` beside its losses.
    var recordFile: URL { beside("training") }

    /// Each sample's tokens, and which of them are targets: `samples-STUDENT-KIND.jsonl` beside its losses.
    var samplesFile: URL { beside("samples").deletingPathExtension().appendingPathExtension("jsonl") }

    private func beside(_ what: String) -> URL {
        let name = lossFile.lastPathComponent.replacing("loss-", with: "\(what)-", maxReplacements: 1)
        return lossFile.deletingLastPathComponent().appendingPathComponent(name)
    }
}

/// A sample as other trainers take it.
private struct WrittenSample: Encodable {
    let id: String
    let tokens: [Int32]
    let trainable: [Bool]
}

/// What a training took, in the process that ended it.
struct TrainingRecord: Codable {
    let samples: Int
    /// Tokens of samples, shared ones counted in each; those that went through the network, shared ones once; and targets.
    let tokens, computedTokens, targets: Int
    let seconds: Double
    /// Tokens of samples a second.
    let tokensPerSecond: Double
    /// The most memory that the process has had, in bytes.
    let peakMemory: Int?

    init(_ progress: Trainer.Progress, samples: Int) {
        self.samples = samples
        tokens = progress.tokens
        computedTokens = progress.computed
        targets = progress.targets
        seconds = progress.seconds
        tokensPerSecond = progress.rate
        peakMemory = Self.peakMemory()
    }

    /// As Linux says it (`VmHWM`, proc(5)); nil elsewhere.
    private static func peakMemory() -> Int? {
        let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM") }
        return line?.split(separator: " ").compactMap { Int($0) }.first.map { $0 * 1024 }
    }
}

/// Trains on a thread of its own, so that Swift's few cooperative threads stay free.
actor TrainingThread {
    private nonisolated let executor = EngineExecutor(name: "retort.training")

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    deinit { executor.finish() }

    func run(_ job: TrainingJob) throws {
        let checkpoint = try Checkpoint(folder: job.base)
        let progress = ProgressLine(job.name)
        var set = TrainingSet([])
        for view in job.views {
            set += try TrainingSet(
                job.trajectories, view: view, template: checkpoint.template, tokenizer: checkpoint.tokenizer,
                limit: job.plan.maximumTokens, overlong: job.plan.overlong)
        }
        if set.overlong > 0 {
            progress.note(
                "\(set.overlong) of \(set.examples.count + set.dropped) samples are longer than \(job.plan.maximumTokens) tokens: "
                    + "\(set.dropped) dropped, \(set.shortened) with shorter observations, \(set.split) ended at a turn"
            )
        }
        guard let first = set.examples.first else {
            throw Preflight.Refusal.overlong(
                count: set.overlong, dropped: set.dropped, limit: job.plan.maximumTokens)
        }
        progress.note(
            "\(set.examples.count) samples, \(set.tokenCount) tokens; trainable text in ⟦ ⟧, the first sample:\n"
                + Preflight.display(first, tokenizer: checkpoint.tokenizer))
        if job.keepsSamples {
            let lines = try set.examples.map { example in
                let sample = WrittenSample(id: example.id, tokens: example.tokens, trainable: example.trainable)
                return String(decoding: try JSONCoding.encoder.encode(sample), as: UTF8.self) + "\n"
            }
            try AtomicFile.write(Data(lines.joined().utf8), to: job.samplesFile)
        }
        let configuration = job.plan.configuration
        let network = try checkpoint.network(dtype: configuration.baseDType, device: .best)
        if case .lora(let lora) = configuration.method {
            let strange = LoRATargets.unknown(lora.targets ?? [], among: network.projections.map(\.name))
            guard strange.isEmpty else { throw LoRATargets.Refusal(training: job.name, targets: strange) }
        }
        let trainer = try Trainer(network, configuration: configuration, checkpoints: job.target)
        let rows = EpochRows(
            set.examples, epochs: configuration.epochs, rowTokens: configuration.rowTokens, seed: configuration.seed)
        var last: Trainer.Progress?
        let losses = try trainer.run(rows) { step in
            progress.show(
                step.update, of: step.updates,
                String(format: "loss %.3f  %.0f tokens/s", step.loss, step.rate))
            last = step
        }
        try write(network, checkpoint, job)
        try AtomicFile.write(JSONCoding.encoder.encode(losses), to: job.lossFile)
        if let last {
            let record = TrainingRecord(last, samples: set.examples.count)
            try AtomicFile.write(JSONCoding.prettyEncoder.encode(record), to: job.recordFile)
        }
        trainer.discardCheckpoint()
    }

    private func write(_ network: DecoderNetwork, _ checkpoint: Checkpoint, _ job: TrainingJob) throws {
        switch job.plan.configuration.method {
        case .full:
            try Checkpoint.write(network, dtype: .float32, tokenizerFrom: checkpoint.folder, to: job.target)
        case .lora(let lora):
            let adapter = AdapterConfiguration(
                baseModel: checkpoint.folder.standardizedFileURL.path, rank: lora.rank, alpha: lora.alpha,
                dropout: lora.dropout,
                // What was trained, whatever the recipe calls it.
                targets: Set(
                    network.projections.filter { $0.linear.adapter != nil }
                        .compactMap { $0.name.split(separator: ".").last.map(String.init) }
                ).sorted())
            try AdapterFile.write(network, adapter, over: checkpoint.folders.base, to: job.target)
        }
    }

    /// Writes an adapter merged into its base, for stages that go on from it, unless that was done before.
    func merge(_ adapter: URL, into base: URL, to target: URL) throws {
        guard !FileManager.default.fileExists(atPath: target.path) else { return }
        // A kill in the middle leaves the unfinished name behind, which is written anew.
        let unfinished = target.appendingPathExtension("unfinished")
        try? FileManager.default.removeItem(at: unfinished)
        try Checkpoint.write(
            Checkpoint(folder: adapter).network(), dtype: .float32, tokenizerFrom: base, to: unfinished)
        try FileManager.default.moveItem(at: unfinished, to: target)
    }
}
