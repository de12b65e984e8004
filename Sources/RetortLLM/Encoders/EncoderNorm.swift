import RetortTensor

/// Layer normalisation with a learned scale, and a learned shift if there is one.
final class EncoderNorm {
    private let weight: Tensor
    private let bias: Tensor?
    private let epsilon: Double

    init(_ name: String, width: Int, bias: Bias, epsilon: Double, _ weights: any WeightSource) throws {
        weight = try weights.tensor("\(name).weight", [width])
        self.bias = bias == .present ? try weights.tensor("\(name).bias", [width]) : nil
        self.epsilon = epsilon
    }

    /// Normalises the sum of both.
    func callAsFunction(_ x: Tensor, adding other: Tensor? = nil) throws -> Tensor {
        try x.layerNorm(adding: other, weight, bias: bias, epsilon: epsilon)
    }
}
