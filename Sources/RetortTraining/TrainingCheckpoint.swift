import Crypto
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
    /// The rows of these updates.
    var rows: RowsDone

    /// The beginning of a run.
    /// - Parameter rowCount: how many rows it has.
    init(rowCount: Int) { rows = RowsDone(of: rowCount) }
}

/// What the rows are known by that a run has learned from: their tokens, and the places that are learned. Numbers that
/// a network has computed, such as a reference's probabilities, are left out.
struct RowsDone {
    private let count: Int
    private var hash = SHA256()

    /// - Parameter count: how many rows the run has in all.
    init(of count: Int) { self.count = count }

    mutating func append(_ row: PackedRow) {
        let places = row.predicting + row.streams.targets.filter { $0.choice == 0 }.map(\.predicting)
        for numbers in [row.tokens.map(Int.init), row.segments.map(\.length), places] {
            // The length comes first, so that different lists cannot give the same bytes.
            ([numbers.count] + numbers).withUnsafeBytes { hash.update(bufferPointer: $0) }
        }
    }

    /// The number of all rows, and the SHA-256 of those so far.
    var identity: String { "\(count) \(ContentHash.text(hash.finalize()))" }
}

/// The state of a run between two updates: weights, moments, losses and the best weights so far in one file, written whole or not at
/// all. So a run has one file, at most four times as large as what it trains, and what belongs together is never of two moments.
struct TrainingCheckpoint {
    private let file: URL

    init(folder: URL) { file = folder.appendingPathComponent("training.safetensors") }

    typealias Moment = TrainableParameters.Moment

    /// Writes the state.
    /// - Parameter moments: appends one kind of moment of all weights, in their order, where they are not all in this process.
    func save(
        _ parameters: TrainableParameters, _ configuration: TrainingConfiguration, _ state: TrainingState,
        moments: ((Moment, _ append: (Data) throws -> Void) throws -> Void)? = nil
    ) throws {
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        let kinds = [""] + Moment.allCases.map { "/\($0.rawValue)" } + (state.best == nil ? [] : ["/best"])
        let places = kinds.flatMap { kind in
            parameters.named.map {
                SafetensorsFile.Place(name: $0.name + kind, shape: $0.weight.shape, dtype: $0.weight.dtype)
            }
        }
        // As bit patterns, so that the record of a resumed run is the same to the last digit.
        let metadata = [
            "configuration": String(decoding: try JSONCoding.encoder.encode(configuration), as: UTF8.self),
            "losses": state.losses.map { String($0.bitPattern) }.joined(separator: " "),
            "rows": state.rows.identity,
            "heldOut": state.curve.points.map { "\($0.update):\($0.loss.bitPattern)" }.joined(separator: " "),
        ]
        try SafetensorsFile.write(places, metadata: metadata, to: file) { append in
            for (_, weight) in parameters.named { try append(weight.detached().bytes()) }
            for kind in Moment.allCases {
                if let moments {
                    try moments(kind, append)
                } else {
                    for index in parameters.named.indices { try append(parameters.moment(kind, of: index).bytes()) }
                }
            }
            for best in state.best ?? [] { try append(best.bytes()) }
        }
    }

    /// One moment of a weight, as it was saved.
    func moment(_ moment: Moment, of name: String, in saved: SafetensorsFile) throws -> Tensor {
        try saved.tensor("\(name)/\(moment.rawValue)")
    }

    /// The file as it is; nil when there is none.
    func open() throws -> SafetensorsFile? {
        FileManager.default.fileExists(atPath: file.path) ? try SafetensorsFile(file) : nil
    }

    /// Puts the saved weights back, and the moments as far as they are in this process.
    /// - Parameters:
    ///   - rows: those of the whole run; the ones that were learned are taken out.
    ///   - rowCount: how many the whole run has.
    /// - Returns: how far the run was; at its beginning when there is no checkpoint.
    /// - Throws: `TrainerError` for a checkpoint of another run or of other rows, before anything is changed.
    func restore(
        _ parameters: TrainableParameters, _ configuration: TrainingConfiguration, rows: inout some RowSource,
        rowCount: Int
    ) throws -> TrainingState {
        guard FileManager.default.fileExists(atPath: file.path) else {
            return TrainingState(rowCount: rowCount)
        }
        let saved = try SafetensorsFile(file)
        let expected = String(decoding: try JSONCoding.encoder.encode(configuration), as: UTF8.self)
        guard saved.metadata["configuration"] == expected else { throw TrainerError.otherRun(path: file.path) }
        var state = TrainingState(rowCount: rowCount)
        state.losses = Self.words(saved.metadata["losses"]).compactMap { UInt64($0) }.map(Double.init(bitPattern:))
        for _ in 0..<state.losses.count * configuration.accumulation {
            if let row = try rows.next() { state.rows.append(row) }
        }
        // Checkpoints of earlier versions do not say what rows they are of.
        guard saved.metadata["rows"] ?? state.rows.identity == state.rows.identity,
            (state.losses.count - 1) * configuration.accumulation < rowCount
        else { throw TrainerError.otherRows(path: file.path) }
        for (index, (name, weight)) in parameters.named.enumerated() {
            try weight.assign(saved.tensor(name))
            let whole = OptimizerShares.Piece(weight: index, elements: 0..<weight.count)
            for kind in Moment.allCases {
                let views = try parameters.views(kind, of: whole)
                guard !views.isEmpty else { continue }
                let moment = try moment(kind, of: name, in: saved)
                for (offset, view) in views { try view.assign(moment.flatView(offset..<offset + view.count)) }
            }
        }
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
