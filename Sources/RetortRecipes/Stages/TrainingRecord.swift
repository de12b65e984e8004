import Foundation
import RetortCore
import RetortEvaluation
import RetortTraining

/// What a training cost in the process that finished it, its plan, and how it ended.
package struct TrainingRecord: Codable, Sendable {
    /// The number of samples.
    package let samples: Int
    /// Tokens of samples, counting shared ones in each; tokens that went through the network, counting shared ones
    /// once; and targets.
    package let tokens, computedTokens, targets: Int
    /// The time of training, in seconds.
    package let seconds: Double
    /// Tokens of samples per second.
    package let tokensPerSecond: Double
    /// The peak memory of the process, in bytes; nil where it is unknown.
    package let peakMemory: Int?
    /// The settings it was trained with; nil in records of earlier versions, as is everything below.
    package var plan: TrainingConfiguration?
    /// What was chosen in the plan, and why; nil where the recipe gave everything.
    package var choice: String?
    /// The result of a range test; nil without one.
    package var rangeTest: String?
    /// The numbers of planned and of completed updates.
    package var planned, updates: Int?
    /// The update whose weights were kept.
    package var kept: Int?
    /// The samples that were too long, with the limits; nil where none was.
    package var dropped: DroppedSamples?
    /// The longest sample allowed, in tokens.
    package var maximumTokens: Int?
    /// The number of held-out samples, and of their tasks; nil without validation.
    package var heldOutSamples, heldOutTasks: Int?
    /// The losses of the held-out samples.
    package var validation: ValidationCurve?
    /// The number of trajectories of each origin; nil where all are the teacher's.
    package var origins: [String: Int]?
    /// How many processes trained together, where it was more than one.
    package var processes: Int?
    /// The memory of the optimizer's states in each process, in bytes, where they were divided.
    package var optimizerBytes: Int?
    /// Why a round trained nothing; nil where it did.
    package var standing: String?

    init(_ progress: Trainer.Progress?, samples: Int) {
        self.samples = samples
        tokens = progress?.tokens ?? 0
        computedTokens = progress?.computed ?? 0
        targets = progress?.targets ?? 0
        seconds = progress?.seconds ?? 0
        tokensPerSecond = progress?.rate ?? 0
        peakMemory = Self.peakMemory()
    }

    /// As Linux reports it (`VmHWM`, proc(5)); nil elsewhere.
    private static func peakMemory() -> Int? {
        let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM") }
        return line?.split(separator: " ").compactMap { Int($0) }.first.map { $0 * 1024 }
    }

    /// The record of a stage of a run, `train/STUDENT/KIND`; nil where there is none.
    package static func of(stage: String, in run: URL) -> TrainingRecord? {
        guard let file = TrainingFiles(run, stage: stage)?.record, let data = try? Data(contentsOf: file) else {
            return nil
        }
        return try? JSONCoding.decoder.decode(Self.self, from: data)
    }

    /// The losses of such a stage, one per update; empty where there are none.
    package static func losses(stage: String, in run: URL) -> [Double] {
        guard let file = TrainingFiles(run, stage: stage)?.loss, let data = try? Data(contentsOf: file) else {
            return []
        }
        return (try? JSONCoding.decoder.decode([Double].self, from: data)) ?? []
    }
}

extension TrainingRecord {
    /// Which update was kept, and why the training ended; nil in records of earlier versions.
    package var ending: String? {
        if let standing { return standing }
        guard let updates, let planned, let kept else { return nil }
        let whole = updates == planned ? "all \(planned) updates" : "\(updates) of \(planned) updates"
        guard let curve = validation, let first = curve.points.first, let best = curve.best,
            let last = curve.points.last
        else { return "\(whole), no validation; the last one kept" }
        let loss = { (point: ValidationCurve.Point) in String(format: "%.4f", point.loss) }
        let why =
            updates < planned ? ", ended early: \(curve.looksSinceBest) looks without a smaller held-out loss" : ""
        if kept == updates, best.update != kept {
            return "\(whole)\(why); the last one kept, as the recipe says, at held-out loss \(loss(last)) "
                + "(update \(best.update) had \(loss(best)))"
        }
        if kept == 0 { return "\(whole)\(why); none was better than no training, held-out loss \(loss(first))" }
        return "\(whole)\(why); update \(kept) kept, held-out loss \(loss(first)) → \(loss(best))"
            + (kept == updates ? "" : " (\(loss(last)) at the end)")
    }

    /// How the students were trained; empty without records that say so.
    static func table(_ records: [(stage: String, record: TrainingRecord)]) -> ReportTable {
        let rows = records.compactMap { stage, record -> [String]? in
            guard let plan = record.plan, let ending = record.ending else { return nil }
            let method = if case .lora(let lora) = plan.method { "rank \(lora.rank)" } else { "all weights" }
            return [
                String(stage.dropFirst("train/".count)), method, "\(plan.learningRate)", "\(plan.epochs)",
                record.dropped.map { "\(record.samples) of \($0.all)" } ?? "\(record.samples)",
                record.heldOutTasks.map { "\($0)" } ?? "–", ending,
            ]
        }
        return ReportTable(
            "How the students were trained",
            columns: ["Training", "Trained", "Rate", "Epochs", "Samples", "Tasks held out", "How it ended"], rows: rows,
            note: records.compactMap { stage, record in
                let warning = record.maximumTokens.flatMap { record.dropped?.warning(limit: $0) }
                let words = [record.choice, record.rangeTest].compactMap { $0 }.joined(separator: "; ")
                let told = [words.isEmpty ? nil : words + ".", warning].compactMap { $0 }.joined(separator: " ")
                return told.isEmpty ? nil : "\(stage.dropFirst("train/".count)): \(told)"
            }.joined(separator: " "))
    }
}

extension RunContext {
    /// How the students were trained.
    func trainings(_ stages: [any Stage]) -> ReportTable {
        TrainingRecord.table(
            stages.compactMap { stage in
                TrainingRecord.of(stage: stage.name, in: folder.url).map { (stage.name, $0) }
            })
    }
}
