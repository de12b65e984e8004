import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortTensor
import RetortTraining

/// Everything that one training stage needs.
struct TrainingJob: Sendable {
    let name: String
    /// The path of its plan in the recipe.
    let key: String
    let base: URL
    let divided: HeldOut
    /// What the student learns to read and write; several views are learned together.
    let views: [any View]
    let plan: Recipe.TrainingPlan
    let target: URL
    let files: TrainingFiles
    /// Whether the samples' tokens are also written.
    let keepsSamples: Bool
    /// The number of lessons of each origin; nil where all are the teacher's.
    var origins: [String: Int]?
}

/// The files of a training's figures, in a run's `results/`.
struct TrainingFiles: Sendable {
    private let folder: URL
    private let name: String

    /// - Parameters:
    ///   - run: the run's folder.
    ///   - name: `STUDENT-KIND`.
    init(_ run: URL, _ name: String) {
        folder = run.appendingPathComponent("results")
        self.name = name
    }

    /// The files for a stage's name, `train/STUDENT/KIND`; nil for other stages.
    init?(_ run: URL, stage: String) {
        let parts = stage.split(separator: "/", maxSplits: 2).map(String.init)
        guard parts.count == 3, parts[0] == "train" else { return nil }
        let isStyle = Recipe.Style(rawValue: parts[2].prefix { $0 != "@" }.description) != nil
        self.init(run, "\(parts[1])-\(isStyle ? parts[2].fileName : parts[2])")
    }

    /// The loss of each update.
    var loss: URL { file("loss", "json") }
    /// What the training cost and how it ended: a `TrainingRecord`.
    var record: URL { file("training", "json") }
    /// Each sample's tokens, and which of them are targets.
    var samples: URL { file("samples", "jsonl") }
    /// The pairs of a round that prefers, and their texts' log-probabilities before it.
    var pairs: URL { file("pairs", "jsonl") }
    var references: URL { file("references", "json") }
    /// The log-probabilities of a student's samples.
    var scores: URL { file("scores", "json") }
    /// The log-probabilities reported by a teacher behind an endpoint, one line per text.
    var told: URL { file("told", "jsonl") }
    /// The source of each lesson of a round.
    var origins: URL { file("origins", "jsonl") }
    /// The curve of a range test.
    var rate: URL { file("rate", "json") }

    private func file(_ what: String, _ ending: String) -> URL {
        folder.appendingPathComponent("\(what)-\(name).\(ending)")
    }
}
