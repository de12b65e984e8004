import RetortTensor

/// The gated feed-forward layer (SwiGLU and GeGLU, arXiv 2002.05202).
final class FeedForward {
    /// The projections to gate and up, or one to both.
    private let inputs: [(name: String, linear: Linear)]
    private let down: (name: String, linear: Linear)
    private let width: Int
    private let activation: Tensor.Gate

    init(_ configuration: DecoderConfiguration, layer: Int, _ name: String, _ weights: any WeightSource) throws {
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize(ofLayer: layer))
        width = inner
        activation = configuration.activation
        let names = configuration.names
        let bias: Bias = configuration.hasFeedForwardBias ? .present : .absent
        let outputs = names.gates.count == 1 ? [2 * inner] : [inner, inner]
        inputs = try zip(names.gates, outputs).map { part, width in
            ("\(name).\(part)", try weights.linear("\(name).\(part)", from: hidden, to: width, bias: bias))
        }
        let downName = "\(name).\(names.down)"
        down = (downName, try weights.linear(downName, from: inner, to: hidden, bias: bias))
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let parts =
            try inputs.count == 1
            ? inputs[0].linear(x).split([width, width], axis: -1) : Linear.all(inputs.map(\.linear), of: x)
        return try down.linear(parts[0].gated(parts[1], by: activation))
    }

    var projections: [(name: String, linear: Linear)] { inputs + [down] }
}
