import RetortTensor

/// How the states of a text's tokens are combined into one vector (sentence-transformers' `Pooling`).
public enum SentencePooling: String, Sendable, CaseIterable {
    /// The state of the first token.
    case cls
    /// The largest value of each element over all tokens.
    case max
    /// The mean over all tokens.
    case mean
    /// The sum divided by the square root of the number of tokens.
    case meanBySquareRoot = "mean_sqrt_len_tokens"
    /// The mean in which the n-th token has weight n.
    case weightedMean = "weightedmean"
    /// The state of the last token.
    case last = "lasttoken"

    /// The vectors of a run of texts: float32 states `[texts, length, hidden]` → `[texts, hidden]`.
    func callAsFunction(_ states: Tensor) throws -> Tensor {
        let (texts, length, width) = (states.shape[0], states.shape[1], states.shape[2])
        switch self {
        case .cls: return try states.narrowed(1, 0..<1).reshaped([texts, width])
        case .last: return try states.narrowed(1, length - 1..<length).reshaped([texts, width])
        case .max: return try states.maximum(axis: 1)
        case .mean: return try states.sum(axis: 1) * (1 / Double(length))
        case .meanBySquareRoot: return try states.sum(axis: 1) * (1 / Double(length).squareRoot())
        case .weightedMean:
            let sum = Double(length * (length + 1) / 2)
            let weights = try Tensor((1...length).map { Float(Double($0) / sum) }, shape: [1, length, 1])
            return try (states * weights.to(device: states.device)).sum(axis: 1)
        }
    }
}
