import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortTensor
import RetortTraining

/// All that one training stage needs.
struct TrainingJob: Sendable {
    let name: String
    /// What its plan is called in the recipe.
    let key: String
    let base: URL
    let divided: HeldOut
    /// What the student learns to see and say; several are learned together.
    let views: [any View]
    let plan: Recipe.TrainingPlan
    let target: URL
    let files: TrainingFiles
    /// Whether the samples' tokens are written, too.
    let keepsSamples: Bool
    /// How many lessons there are of each origin; nil where all are the teacher's.
    var origins: [String: Int]?
}

/// Where a training's figures are kept, in a run's `results/`.
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

    /// By the name of the stage, `train/STUDENT/KIND`; nil for other stages.
    init?(_ run: URL, stage: String) {
        let parts = stage.split(separator: "/", maxSplits: 2).map(String.init)
        guard parts.count == 3, parts[0] == "train" else { return nil }
        let isStyle = Recipe.Style(rawValue: parts[2].prefix { $0 != "@" }.description) != nil
        self.init(run, "\(parts[1])-\(isStyle ? parts[2].fileName : parts[2])")
    }

    /// The loss of each update.
    var loss: URL { file("loss", "json") }
    /// What the training took and how it ended: a `TrainingRecord`.
    var record: URL { file("training", "json") }
    /// Each sample's tokens, and which of them are targets.
    var samples: URL { file("samples", "jsonl") }
    /// The pairs of a round that prefers, and the log-probabilities that their texts had before.
    var pairs: URL { file("pairs", "jsonl") }
    var references: URL { file("references", "json") }
    /// The log-probabilities of what a student drew.
    var scores: URL { file("scores", "json") }
    /// Those that a teacher behind an endpoint told, a line a text.
    var told: URL { file("told", "jsonl") }
    /// Where each lesson of a round comes from.
    var origins: URL { file("origins", "jsonl") }
    /// The curve of a range test.
    var rate: URL { file("rate", "json") }

    private func file(_ what: String, _ ending: String) -> URL {
        folder.appendingPathComponent("\(what)-\(name).\(ending)")
    }
}
