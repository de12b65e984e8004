import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// How far a run is, besides its weights and moments.
struct TrainingState {
    /// The loss of every update so far.
    var losses: [Double] = []
    /// What the held-out samples showed.
    var curve = ValidationCurve()
    /// The weights of the curve's best update, where a run is to end with them.
    var best: [Tensor]?
}

/// The state of a run between two updates: weights, moments, losses and the best weights so far in one file, written whole or not at
/// all. So a run has one file, at most four times as large as what it trains, and what belongs together is never of two moments.
struct TrainingCheckpoint {
    private let file: URL

    init(folder: URL) { file = folder.appendingPathComponent("training.safetensors") }

    func save(_ parameters: TrainableParameters, _ configuration: TrainingConfiguration, _ state: TrainingState) throws
    {
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        var tensors = try parameters.named.flatMap { name, state in
            [
                (name: name, tensor: try state.parameter.detached()), (name: "\(name)/mean", tensor: state.mean),
                (name: "\(name)/variance", tensor: state.variance),
            ]
        }
        for ((name, _), best) in zip(parameters.named, state.best ?? []) {
            tensors.append((name: "\(name)/best", tensor: best))
        }
        // As bit patterns, so that the record of a resumed run is the same to the last digit.
        let metadata = [
            "configuration": String(decoding: try JSONCoding.encoder.encode(configuration), as: UTF8.self),
            "losses": state.losses.map { String($0.bitPattern) }.joined(separator: " "),
            "heldOut": state.curve.points.map { "\($0.update):\($0.loss.bitPattern)" }.joined(separator: " "),
        ]
        try SafetensorsFile.write(tensors, metadata: metadata, to: file)
    }

    /// Puts the saved weights and moments back.
    /// - Returns: how far the run was; at its beginning when there is no checkpoint.
    func restore(_ parameters: TrainableParameters, _ configuration: TrainingConfiguration) throws -> TrainingState {
        guard FileManager.default.fileExists(atPath: file.path) else { return TrainingState() }
        let saved = try SafetensorsFile(file)
        let expected = String(decoding: try JSONCoding.encoder.encode(configuration), as: UTF8.self)
        guard saved.metadata["configuration"] == expected else { throw TrainerError.otherRun(path: file.path) }
        for (name, state) in parameters.named {
            try state.parameter.assign(saved.tensor(name))
            try state.mean.assign(saved.tensor("\(name)/mean"))
            try state.variance.assign(saved.tensor("\(name)/variance"))
        }
        var state = TrainingState()
        state.losses = Self.words(saved.metadata["losses"]).compactMap { UInt64($0) }.map(Double.init(bitPattern:))
        state.curve = ValidationCurve(
            Self.words(saved.metadata["heldOut"]).compactMap { word in
                let parts = word.split(separator: ":")
                guard parts.count == 2, let update = Int(parts[0]), let bits = UInt64(parts[1]) else { return nil }
                return ValidationCurve.Point(update: update, loss: Double(bitPattern: bits))
            })
        if configuration.validation?.keeps == .best, !state.curve.points.isEmpty {
            state.best = try parameters.copies()
            for ((name, _), copy) in zip(parameters.named, state.best ?? []) {
                try copy.assign(saved.tensor("\(name)/best"))
            }
        }
        return state
    }

    private static func words(_ text: String?) -> [Substring] { (text ?? "").split(separator: " ") }

    func discard() { try? FileManager.default.removeItem(at: file) }
}
