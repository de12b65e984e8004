import Foundation
import RetortCore
import RetortLLM
import RetortTraining

// What trainings share that continue from an earlier round.

/// Log-probabilities of texts before a continued training: computed once, and read again after an interruption.
struct StoredScores: Codable {
    /// Identifies the texts.
    var texts: String
    /// For each text one number per token, in nats, of the student before the training.
    var student: [[Float]]
    /// The teacher's; nil where none is asked.
    var teacher: TeacherScores?
}

extension TrainingThread {
    /// How probable samples are before training. It must be called before `goOn`.
    /// - Parameters:
    ///   - teacher: whose probabilities are also computed.
    ///   - best: how many of its likeliest tokens at each position are needed; 0 for none.
    func scores(
        _ examples: [TrainingExample], _ trainer: Trainer, teacher: PolicyWork.Scorer? = nil, best: Int = 0,
        in file: URL
    ) throws -> StoredScores {
        let texts = ContentDigest.of(examples.map { "\($0.tokens) \($0.weights)" })
        let kept = (try? Data(contentsOf: file)).flatMap { try? JSONCoding.decoder.decode(StoredScores.self, from: $0) }
        let isWhole = best == 0 || kept?.teacher?.choices != nil
        if let kept, kept.texts == texts, kept.student.count == examples.count, isWhole { return kept }
        var scores = StoredScores(texts: texts, student: try trainer.logProbabilities(of: examples))
        switch teacher {
        case nil: break
        case .told(let told): scores.teacher = told
        case .folder(let folder):
            let network = try Checkpoint(folder: folder).network(
                dtype: trainer.configuration.baseDType, device: .best)
            let rowTokens = trainer.configuration.rowTokens
            scores.teacher = TeacherScores(
                logProbabilities: try TextScores.logProbabilities(of: examples, by: network, rowTokens: rowTokens),
                choices: best > 0
                    ? try TextScores.choices(of: examples, by: network, rowTokens: rowTokens, best: best) : nil)
        }
        try AtomicFile.write(JSONCoding.encoder.encode(scores), to: file)
        return scores
    }

    /// Trains on samples from the student's present weights, and writes the results.
    /// - Parameter standing: why nothing is trained; nil where something is.
    func goOn(
        _ job: TrainingJob, _ examples: [TrainingExample], _ trainer: Trainer, _ network: DecoderNetwork,
        _ checkpoint: Checkpoint, standing: String?
    ) throws {
        let progress = ProgressLine(job.name)
        let configuration = trainer.configuration
        try Preflight.check(examples)
        var last: Trainer.Progress?
        var outcome: Trainer.Outcome?
        if standing == nil {
            let rows = EpochRows(
                examples, epochs: configuration.epochs, rowTokens: configuration.rowTokens, seed: configuration.seed)
            if let note = trainer.note(on: rows) { progress.note(note) }
            outcome = try trainer.train(rows) { step in
                progress.show(
                    step.update, of: step.updates, String(format: "loss %.4f", step.loss),
                    figures: ["loss": step.loss])
                last = step
            }
        }
        try write(
            network, checkpoint, job, configuration.method, longest: examples.map(\.tokens.count).max() ?? 0)
        try AtomicFile.write(JSONCoding.encoder.encode(outcome?.losses ?? []), to: job.files.loss)
        var record = TrainingRecord(last, samples: examples.count)
        (record.plan, record.origins, record.standing) = (configuration, job.origins, standing)
        record.processes = trainer.processes > 1 ? trainer.processes : nil
        (record.planned, record.updates, record.kept) = (
            outcome?.planned ?? 0, outcome?.losses.count ?? 0, outcome?.kept ?? 0
        )
        try AtomicFile.write(JSONCoding.prettyEncoder.encode(record), to: job.files.record)
        if let ending = record.ending { progress.note(ending) }
        trainer.discardCheckpoint()
    }
}

extension TrainingJob {
    /// The configuration of a training that continues from an earlier round.
    /// - Parameter rate: nil is a twentieth of the plan's.
    func goingOn(width: Int, samples: Int, epochs: Int, rate: Double?) -> TrainingConfiguration {
        var configuration = plan.settled(key, width: width, samples: max(samples, 1)).configuration
        configuration.epochs = epochs
        configuration.learningRate = rate ?? SizeDial.rounded(configuration.learningRate / 20)
        configuration.validation = nil
        return configuration
    }
}
