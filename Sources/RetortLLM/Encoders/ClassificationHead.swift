import RetortTensor

/// The layers that turn the pooled states into a score: BERT's pooler and classifier, RoBERTa's or ModernBERT's head.
struct ClassificationHead {
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

/// How a kind of classifier turns the states of a text into a score.
struct HeadForm {
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
