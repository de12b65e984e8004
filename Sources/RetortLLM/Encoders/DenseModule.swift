import Foundation
import RetortCore
import RetortTensor

/// The `Dense` module of sentence-transformers: a linear layer and an activation on the pooled vector, for models
/// with fewer dimensions than their network.
///
/// It is a folder with `config.json` and `model.safetensors` (`linear.weight`, `linear.bias`; `residual.weight` where
/// the widths differ).
final class DenseModule {
    let outputs: Int
    private let linear: Linear
    private let activation: Tensor.Activation?
    private let residual: Residual

    /// The input as it is added to the result.
    private enum Residual {
        case none, input
        case projected(Linear)
    }

    private static let activations: [String: Tensor.Activation?] = [
        "torch.nn.modules.activation.Tanh": .tanh, "torch.nn.modules.activation.ReLU": .relu,
        "torch.nn.modules.activation.GELU": .gelu, "torch.nn.modules.activation.SiLU": .silu,
        "torch.nn.modules.linear.Identity": nil,
    ]

    /// - Parameter inputs: the width of the input.
    /// - Throws: `CheckpointError` that names the file.
    init(_ folder: URL, inputs: Int) throws {
        let file = folder.appendingPathComponent("config.json")
        guard let object = try CheckpointJSON.object(file) else { throw CheckpointError.missing(file: file.path) }
        let fields = ConfigurationFields(object, path: file.path)
        try fields.refuse(
            allBut: ["in_features", "out_features", "bias", "activation_function", "use_residual"],
            and: ["module_input_name": ["sentence_embedding"], "module_output_name": ["sentence_embedding"]])
        outputs = try fields.integer("out_features")
        let declared = try fields.integer("in_features")
        guard declared == inputs, (1..<1 << 24).contains(outputs) else {
            throw fields.malformed("it takes vectors of the width \(declared), and those before it are \(inputs) wide")
        }
        let name = fields["activation_function"]?.string ?? "torch.nn.modules.activation.Tanh"
        guard let activation = Self.activations[name] else { throw fields.unsupported("the activation '\(name)'") }
        self.activation = activation
        let weights = try CheckpointWeights(.folder(folder), dtype: .float32, device: .cpu)
        let recorder = NameRecorder(weights)
        let hasBias = fields["bias"] == nil ? true : try fields.flag("bias")
        linear = try recorder.linear("linear", from: inputs, to: outputs, bias: hasBias ? .present : .absent)
        if try !fields.flag("use_residual") {
            residual = .none
        } else if inputs == outputs {
            residual = .input
        } else {
            residual = .projected(try recorder.linear("residual", from: inputs, to: outputs, bias: .absent))
        }
        try weights.refuseStrays(besides: recorder.names, and: [])
    }

    /// `[texts, inputs] → [texts, outputs]`
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let projected = try linear(x)
        let result = try activation.map { try projected.activated(by: $0) } ?? projected
        return switch residual {
        case .none: result
        case .input: try result + x
        case .projected(let linear): try result + linear(x)
        }
    }
}
