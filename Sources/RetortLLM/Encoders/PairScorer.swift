import Foundation
import RetortCore
import RetortTensor

/// A cross-encoder in this process: query and passage go through the network together, and its head scores how well
/// they fit (arXiv 1901.04085), as in sentence-transformers' `CrossEncoder`. Scores are the head's raw outputs,
/// without a sigmoid, which would not change their order.
public actor PairScorer {
    /// The precision in which the weights are held.
    public nonisolated let weights: WeightPrecision
    private nonisolated let shape: EncoderShape
    private nonisolated let tokenizer: EncoderTokenizer
    private nonisolated let executor: EngineExecutor
    private let network: any TextNetwork
    private let head: ClassificationHead

    /// The thread on which the network computes.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens a folder with a `BertForSequenceClassification`, or the equivalent of RoBERTa, XLM-RoBERTa or ModernBERT,
    /// with one score.
    /// - Parameter weights: float32 or bfloat16; nil takes the faster one on this machine.
    /// - Throws: `CheckpointError` or `TokenizerError` that names the file.
    public init(folder: URL, weights: WeightPrecision? = nil) throws {
        let weights = weights ?? .usualForWholeTexts
        let shape = try TextEncoder.configuration(folder)
        let form = try HeadForm(shape)
        let settings = try SentenceSettings(folder, hidden: shape.hiddenSize)
        let stored = try CheckpointWeights(.folder(folder), dtype: .float32, device: .cpu)
        let prefix = shape.prefix(of: stored)
        network = try shape.network(weights: stored, products: weights.dtype, prefix: prefix)
        let recorder = NameRecorder(stored)
        head = try ClassificationHead(form, prefix: prefix, recorder)
        let others = shape.unused.filter { $0 != "classifier." && $0 != "head." && !$0.hasSuffix("pooler.") }
        try stored.refuseStrays(besides: network.names.union(recorder.names), and: others)
        if weights != .float32, PackedWeight.hasKernels { try network.pack() }
        tokenizer = try EncoderTokenizer(folder, shape, longest: settings.longest, lowercases: settings.lowercases)
        self.shape = shape
        self.weights = weights
        ComputeThreads.release()
        executor = EngineExecutor(name: "retort.reranker")
    }

    deinit { executor.finish() }

    /// How well each passage fits a query; larger is better.
    /// - Throws: `CancellationError`, and errors of the network.
    public func scores(_ query: String, _ passages: [String]) throws -> [Float] {
        let pairs = passages.map { tokenizer.pair(query, $0) }
        var scores = [Float](repeating: 0, count: pairs.count)
        for part in EncoderBatch.passes(pairs) {
            try Task.checkCancellation()
            for (index, score) in zip(part, try self.scores(part.map { pairs[$0] })) { scores[index] = score }
        }
        return scores
    }

    private func scores(_ pairs: [EncoderBatch.Sequence]) throws -> [Float] {
        try withoutGradients {
            let batch = try EncoderBatch(pairs, shape, device: .cpu)
            let found = try head(batch.pooled(network.states(batch), by: [head.form.pooling])).floats()
            var scores = found
            for (row, place) in batch.order.enumerated() { scores[place] = found[row] }
            return scores
        }
    }
}
