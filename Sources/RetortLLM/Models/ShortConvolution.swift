import RetortTensor

/// LFM2's mixer (arXiv 2511.23404): a convolution over a few tokens, with a gate before it and a gate after it.
final class ShortConvolution: Mixer {
    private let input, output: (name: String, linear: Linear)
    private let convolution: DepthwiseConvolution
    private let layer: Int
    private let width: Int

    init(
        _ configuration: DecoderConfiguration, layer: Int, taps: Int, bias: Bool, _ name: String,
        _ weights: any WeightSource
    ) throws {
        self.layer = layer
        let width = configuration.hiddenSize
        self.width = width
        let bias: Bias = bias ? .present : .absent
        func linear(_ part: String, to outputs: Int) throws -> (name: String, linear: Linear) {
            ("\(name).\(part)", try weights.linear("\(name).\(part)", from: width, to: outputs, bias: bias))
        }
        (input, output) = (try linear("in_proj", to: 3 * width), try linear("out_proj", to: width))
        convolution = try DepthwiseConvolution("\(name).conv", width: width, taps: taps, bias: bias, weights)
    }

    func callAsFunction(_ x: Tensor, _ pass: LayerPass, _ context: some AttentionContext) throws -> Tensor {
        let parts = try input.linear(x).split([width, width, width], axis: -1)
        let mixed = try context.carry(layer: layer, [parts[0] * parts[2]]) { inputs, state in
            let (output, after) = try convolution(inputs[0], before: state?[0])
            return (output, [after])
        }
        return try output.linear(parts[1] * mixed)
    }

    var projections: [(name: String, linear: Linear)] { [input, output] }
    var norms: [Norm] { [] }
    var others: [(name: String, tensor: Tensor)] { convolution.parameters }
}
