import Foundation
import RetortCore
import RetortTensor

/// A cross-encoder in this process: query and passage go through the network together, and its head scores how well
/// they fit (arXiv 1901.04085), as in sentence-transformers' `CrossEncoder`. Scores are the head's raw outputs,
/// without a sigmoid, which would not change their order.
public actor PairScorer {
    /// The precision in which the weights are held.
    public nonisolated let weights: WeightPrecision
    private nonisolated let shape: EncoderConfiguration
    private nonisolated let tokenizer: EncoderTokenizer
    private nonisolated let executor: EngineExecutor
    private let network: EncoderNetwork
    private let head: ClassificationHead

    /// The thread on which the network computes.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens a folder with a `BertForSequenceClassification`, or RoBERTa's or XLM-RoBERTa's equivalent, with one
    /// score.
    /// - Parameter weights: float32 or bfloat16; nil takes the faster one on this machine.
    /// - Throws: `CheckpointError` or `TokenizerError` that names the file.
    public init(folder: URL, weights: WeightPrecision? = nil) throws {
        let weights = weights ?? .usualForWholeTexts
        let shape = try TextEncoder.configuration(folder)
        guard shape.labels == 1 else {
            throw CheckpointError.unsupported(
                file: shape.path, "a classifier with \(shape.labels) labels; a re-ranker has one score, and such a head"
            )
        }
        let settings = try SentenceSettings(folder, hidden: shape.hiddenSize)
        let stored = try CheckpointWeights(.folder(folder), dtype: .float32, device: .cpu)
        let prefix = TextEncoder.prefix(of: stored)
        network = try EncoderNetwork(shape, weights: stored, products: weights.dtype, prefix: prefix)
        let recorder = NameRecorder(stored)
        head = try ClassificationHead(shape, prefix: prefix, recorder)
        let others = TextEncoder.unused.filter { $0 != "classifier." && !$0.hasSuffix("pooler.") }
        try stored.refuseStrays(besides: network.names.union(recorder.names), and: others)
        if weights != .float32, PackedWeight.hasKernels { try network.pack() }
        tokenizer = try EncoderTokenizer(folder, shape, longest: settings.longest, lowercases: settings.lowercases)
        self.shape = shape
        self.weights = weights
        ComputeThreads.release()
        executor = EngineExecutor(name: "retort.reranker")
    }

    deinit { executor.finish() }

    private static let pairsAtOnce = 32

    /// How well each passage fits a query; larger is better.
    public func scores(_ query: String, _ passages: [String]) throws -> [Float] {
        var scores: [Float] = []
        var rest = passages[...]
        while !rest.isEmpty {
            try Task.checkCancellation()
            let part = rest.prefix(Self.pairsAtOnce)
            rest = rest.dropFirst(Self.pairsAtOnce)
            scores += try self.scores(part.map { tokenizer.pair(query, $0) })
        }
        return scores
    }

    private func scores(_ pairs: [EncoderBatch.Sequence]) throws -> [Float] {
        try withoutGradients {
            let batch = try EncoderBatch(pairs, shape, device: .cpu)
            let states = try network.states(batch)
            let firsts = batch.runs.flatMap { run in (0..<run.count).map { run.start + $0 * run.length } }
            let found = try head(states.rows(Tensor(integers: firsts))).floats()
            var scores = found
            for (row, place) in batch.order.enumerated() { scores[place] = found[row] }
            return scores
        }
    }
}

/// The layers that turn the first token's state into a score: BERT's pooler and classifier, or RoBERTa's head.
private struct ClassificationHead {
    private let dense, classifier: Linear

    init(_ shape: EncoderConfiguration, prefix: String, _ weights: any WeightSource) throws {
        let isBERT = shape.positionsBehind == nil
        let (first, second) =
            isBERT ? ("\(prefix)pooler.dense", "classifier") : ("classifier.dense", "classifier.out_proj")
        dense = try weights.linear(first, from: shape.hiddenSize, to: shape.hiddenSize, bias: .present)
        classifier = try weights.linear(second, from: shape.hiddenSize, to: 1, bias: .present)
    }

    /// `[texts, hidden] → [texts]`.
    func callAsFunction(_ first: Tensor) throws -> Tensor {
        try classifier(dense(first).activated(by: .tanh)).reshaped([-1])
    }
}
