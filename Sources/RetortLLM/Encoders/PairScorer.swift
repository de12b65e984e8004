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
            let found = try head(batch.pooled(network.states(batch), by: [head.form.pooling])).floats()
            var scores = found
            for (row, place) in batch.order.enumerated() { scores[place] = found[row] }
            return scores
        }
    }
}

/// How a kind of classifier turns the states of a text into a score.
private struct HeadForm {
    /// How the states are combined before the head.
    var pooling = SentencePooling.cls
    /// The names of its layers, that of the dense one behind the network's prefix if it belongs to the network.
    var dense, classifier: String
    var isOfNetwork = false
    var denseBias = Bias.present
    var activation = Tensor.Activation.tanh
    let width: Int
    /// The name of the norm behind the activation, whether it has a shift, and its epsilon; nil where there is none.
    var norm: (name: String, bias: Bias, epsilon: Double)?

    /// - Throws: `CheckpointError` for a model with another number of scores, or without such a head.
    init(_ shape: EncoderShape) throws {
        let labels: Int
        width = shape.hiddenSize
        switch shape {
        case .bert(let bert) where bert.positionsBehind == nil:
            (labels, dense, classifier, isOfNetwork) = (bert.labels, "pooler.dense", "classifier", true)
        case .bert(let roberta):
            (labels, dense, classifier) = (roberta.labels, "classifier.dense", "classifier.out_proj")
        case .modernBERT(let modern):
            (labels, dense, classifier) = (modern.classifier.labels, "head.dense", "classifier")
            pooling = modern.classifier.pooling
            denseBias = modern.classifier.hasBias ? .present : .absent
            activation = modern.classifier.activation
            norm = ("head.norm", modern.hasNormBias ? .present : .absent, modern.normEpsilon)
        case .decoder:
            throw CheckpointError.unsupported(file: shape.path, "a decoder as a re-ranker")
        }
        guard labels == 1 else {
            throw CheckpointError.unsupported(
                file: shape.path, "a classifier with \(labels) labels; a re-ranker has one score, and such a head")
        }
    }
}

/// The layers that turn the pooled states into a score: BERT's pooler and classifier, RoBERTa's or ModernBERT's head.
private struct ClassificationHead {
    let form: HeadForm
    private let dense, classifier: Linear
    private let norm: EncoderNorm?

    init(_ form: HeadForm, prefix: String, _ weights: any WeightSource) throws {
        self.form = form
        dense = try weights.linear(
            (form.isOfNetwork ? prefix : "") + form.dense, from: form.width, to: form.width, bias: form.denseBias)
        norm = try form.norm.map {
            try EncoderNorm($0.name, width: form.width, bias: $0.bias, epsilon: $0.epsilon, weights)
        }
        classifier = try weights.linear(form.classifier, from: form.width, to: 1, bias: .present)
    }

    /// `[texts, hidden] → [texts]`.
    func callAsFunction(_ pooled: Tensor) throws -> Tensor {
        let inner = try dense(pooled).activated(by: form.activation)
        return try classifier(norm?(inner) ?? inner).reshaped([-1])
    }
}
