import RetortTensor

/// Qwen3.5's mixer with the gated delta rule (arXiv 2412.06464). Each head's memory is a matrix from keys to values;
/// a token decays it, and replaces the value found under its key by its own value.
final class GatedDelta: Mixer {
    /// The projections to query, key and value in one; to the output's gate; to the learning rate; and to the decay.
    private let inputs: [(name: String, linear: Linear)]
    private let output: (name: String, linear: Linear)
    private let convolution: DepthwiseConvolution
    /// The parameters of the decay, `[value heads]`.
    private let rate, bias: (name: String, tensor: Tensor)
    private let norm: Norm
    private let layer: Int
    private let shape: DeltaShape

    init(
        _ configuration: DecoderConfiguration, layer: Int, _ shape: DeltaShape, _ name: String,
        _ weights: any WeightSource
    ) throws {
        self.layer = layer
        self.shape = shape
        func linear(_ part: String, _ inputs: Int, _ outputs: Int) throws -> (name: String, linear: Linear) {
            ("\(name).\(part)", try weights.linear("\(name).\(part)", from: inputs, to: outputs, bias: .absent))
        }
        let (hidden, values) = (configuration.hiddenSize, shape.valueHeads * shape.valueWidth)
        inputs = [
            try linear("in_proj_qkv", hidden, shape.mixedWidth), try linear("in_proj_z", hidden, values),
            try linear("in_proj_b", hidden, shape.valueHeads), try linear("in_proj_a", hidden, shape.valueHeads),
        ]
        output = try linear("out_proj", values, hidden)
        convolution = try DepthwiseConvolution(
            "\(name).conv1d", width: shape.mixedWidth, taps: shape.taps, bias: .absent, weights)
        func perHead(_ part: String) throws -> (name: String, tensor: Tensor) {
            ("\(name).\(part)", try weights.tensor("\(name).\(part)", [shape.valueHeads]))
        }
        (rate, bias) = (try perHead("A_log"), try perHead("dt_bias"))
        norm = try Norm(configuration, "\(name).norm", weights, width: shape.valueWidth, isFromOne: false)
    }

    func callAsFunction(_ x: Tensor, _ pass: LayerPass, _ context: some AttentionContext) throws -> Tensor {
        let projected = try Linear.all(inputs.map(\.linear), of: x)
        let read = try context.carry(layer: layer, [projected[0], projected[2], projected[3]]) { inputs, state in
            let (mixed, after) = try convolution(inputs[0], before: state?[0])
            let (output, memory) = try mixed.gatedDelta(
                learning: inputs[1], forgetting: inputs[2], rate: rate.tensor, bias: bias.tensor,
                keys: (shape.keyHeads, shape.keyWidth), values: (shape.valueHeads, shape.valueWidth),
                memory: state?[1])
            return (output, [after, memory])
        }
        let tokens = read.shape[1]
        func heads(_ x: Tensor) throws -> Tensor { try x.reshaped([1, tokens, shape.valueHeads, shape.valueWidth]) }
        let gated = try heads(projected[1]).gated(norm(heads(read)), by: .silu)
        return try output.linear(gated.reshaped([1, tokens, -1]))
    }

    var projections: [(name: String, linear: Linear)] { inputs + [output] }
    var norms: [Norm] { [norm] }
    var others: [(name: String, tensor: Tensor)] { convolution.parameters + [rate, bias] }
}
