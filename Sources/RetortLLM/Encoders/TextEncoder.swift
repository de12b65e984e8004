import Foundation
import RetortCore
import RetortTensor

/// An embedding model in this process: it turns texts into vectors (Sentence-BERT, arXiv 1908.10084), as
/// sentence-transformers does.
///
/// Texts go through the network without padding, grouped by length. It computes on its own thread, for any number of
/// tasks, one call after the other.
public actor TextEncoder {
    /// The width of the vectors.
    public nonisolated let dimensions: Int
    /// The precision in which the weights are held.
    public nonisolated let weights: WeightPrecision
    /// The longest text in tokens; longer ones are cut.
    public nonisolated let longest: Int
    private nonisolated let settings: SentenceSettings
    private nonisolated let shape: EncoderShape
    private nonisolated let tokenizer: EncoderTokenizer
    private nonisolated let executor: EngineExecutor
    private let network: any TextNetwork
    private let dense: [DenseModule]

    /// The thread on which the network computes.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens a folder with the `config.json` of an encoder and, if present, the files of sentence-transformers. A
    /// decoder needs these.
    /// - Parameter weights: float32 or bfloat16; nil takes the faster one on this machine.
    /// - Throws: `CheckpointError` or `TokenizerError` that names the file.
    public init(folder: URL, weights: WeightPrecision? = nil) throws {
        let weights = weights ?? .usualForWholeTexts
        let shape = try Self.configuration(folder)
        settings = try SentenceSettings(folder, hidden: shape.hiddenSize)
        guard settings.namesModules || !shape.isDecoder else {
            throw CheckpointError.unsupported(
                file: shape.path,
                "a decoder as an encoder without sentence-transformers' modules.json, which says how states become a "
                    + "vector,")
        }
        let stored = try CheckpointWeights(.folder(folder), dtype: .float32, device: .cpu)
        network = try shape.network(weights: stored, products: weights.dtype, prefix: shape.prefix(of: stored))
        try stored.refuseStrays(besides: network.names, and: shape.unused)
        if weights != .float32, PackedWeight.hasKernels { try network.pack() }
        tokenizer = try EncoderTokenizer(folder, shape, longest: settings.longest, lowercases: settings.lowercases)
        longest = tokenizer.longest
        self.shape = shape
        self.weights = weights
        let pooled = shape.hiddenSize * settings.pooling.count
        dense = try settings.dense.reduce(into: []) { layers, folder in
            layers.append(try DenseModule(folder, inputs: layers.last?.outputs ?? pooled))
        }
        dimensions = dense.last?.outputs ?? pooled
        ComputeThreads.release()
        executor = EngineExecutor(name: "retort.encoder")
    }

    deinit { executor.finish() }

    /// The shape of a folder's network.
    /// - Throws: `CheckpointError` that names the file, and the unsupported type or setting.
    public static func configuration(_ folder: URL) throws -> EncoderShape { try EncoderShape(folder) }

    /// Whether a folder holds an encoder. A decoder is one if sentence-transformers' `modules.json` lies beside it.
    public static func holdsEncoder(_ folder: URL) -> Bool {
        let fields = try? CheckpointJSON.object(folder.appendingPathComponent("config.json"))
        guard let type = fields?["model_type"]?.string, EncoderShape.known.contains(type) else { return false }
        let modules = folder.appendingPathComponent("modules.json").path
        return !EmbeddingDecoder.known.contains(type) || FileManager.default.fileExists(atPath: modules)
    }

    /// The prompt that the checkpoint puts before a text.
    public nonisolated func prompt(_ kind: EmbeddedText) -> String { settings.prompt(kind) }

    /// Whether vectors are compared by cosine similarity.
    public nonisolated var comparesDirections: Bool { settings.similarity == "cosine" }

    /// The vectors of texts, concatenated: `texts.count · dimensions` elements.
    /// - Parameter prompt: a text put before each text.
    /// - Throws: `CancellationError`, and errors of the network.
    public func embed(_ texts: [String], prompt: String = "") throws -> [Float] {
        let sequences = texts.map { EncoderBatch.Sequence(tokens: tokenizer.tokens(of: prompt + $0), second: nil) }
        var vectors = [Float](repeating: 0, count: texts.count * dimensions)
        for part in EncoderBatch.passes(sequences) {
            try Task.checkCancellation()
            let found = try pooled(part.map { sequences[$0] })
            for (place, index) in part.enumerated() {
                vectors.replaceSubrange(
                    index * dimensions..<(index + 1) * dimensions,
                    with: found[place * dimensions..<(place + 1) * dimensions])
            }
        }
        return vectors
    }

    /// The vectors of a batch, in the original order of its texts.
    private func pooled(_ sequences: [EncoderBatch.Sequence]) throws -> [Float] {
        try ComputeMemory.kept {
            try withoutGradients {
                let batch = try EncoderBatch(sequences, shape, device: .cpu)
                let pooled = try batch.pooled(network.states(batch), by: settings.pooling)
                let rows = try dense.reduce(pooled) { try $1($0) }.floats()
                var vectors = rows
                for (row, place) in batch.order.enumerated() {
                    let own = rows[row * dimensions..<(row + 1) * dimensions]
                    // As in torch's `normalize`, the length is taken to be at least 10⁻¹².
                    let length = settings.normalises ? max(own.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12) : 1
                    vectors.replaceSubrange(
                        place * dimensions..<(place + 1) * dimensions, with: own.map { $0 / length })
                }
                return vectors
            }
        }
    }
}
