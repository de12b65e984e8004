import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// The state of a run between two updates: weights, moments and losses in one file, written whole or not at all.
struct TrainingCheckpoint {
    private let file: URL

    init(folder: URL) { file = folder.appendingPathComponent("training.safetensors") }

    func save(_ parameters: TrainableParameters, _ configuration: TrainingConfiguration, losses: [Double]) throws {
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        let tensors = try parameters.named.flatMap { name, state in
            [
                (name: name, tensor: try state.parameter.detached()), (name: "\(name)/mean", tensor: state.mean),
                (name: "\(name)/variance", tensor: state.variance),
            ]
        }
        let metadata = [
            "configuration": String(decoding: try JSONCoding.encoder.encode(configuration), as: UTF8.self),
            // As bit patterns, so that the record of a resumed run is the same to the last digit.
            "losses": losses.map { String($0.bitPattern) }.joined(separator: " "),
        ]
        try SafetensorsFile.write(tensors, metadata: metadata, to: file)
    }

    /// Puts the saved state back.
    /// - Returns: the losses so far, one an update; empty when there is no checkpoint.
    func restore(_ parameters: TrainableParameters, _ configuration: TrainingConfiguration) throws -> [Double] {
        guard FileManager.default.fileExists(atPath: file.path) else { return [] }
        let saved = try SafetensorsFile(file)
        let expected = String(decoding: try JSONCoding.encoder.encode(configuration), as: UTF8.self)
        guard saved.metadata["configuration"] == expected else { throw TrainerError.otherRun(path: file.path) }
        for (name, state) in parameters.named {
            try state.parameter.assign(saved.tensor(name))
            try state.mean.assign(saved.tensor("\(name)/mean"))
            try state.variance.assign(saved.tensor("\(name)/variance"))
        }
        return (saved.metadata["losses"] ?? "").split(separator: " ").compactMap { UInt64($0) }
            .map(Double.init(bitPattern:))
    }

    func discard() { try? FileManager.default.removeItem(at: file) }
}
