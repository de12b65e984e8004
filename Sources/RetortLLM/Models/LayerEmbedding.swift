import RetortTensor

/// Gemma 4's second embedding: a table with numbers for each token and layer, to which a projection of the token's
/// first embedding is added.
final class LayerEmbedding {
    /// The name of the projection from the first embedding.
    static let projection = "model.per_layer_model_projection"
    /// The projections of each layer, in `LayerEmbeddingPart`.
    static let layerProjections = ["per_layer_input_gate", "per_layer_projection"]

    private static let tableName = "model.embed_tokens_per_layer.weight"
    /// `[vocabulary, layers · width]`.
    private let table: Tensor
    private let linear: Linear
    let norm: Norm
    private let layers: Int
    private let width: Int
    private let projectionScale: Double

    init(_ configuration: DecoderConfiguration, _ shape: LayerEmbeddingShape, _ weights: any WeightSource) throws {
        (layers, width) = (configuration.layerCount, shape.width)
        table = try weights.tensor(Self.tableName, [shape.vocabulary, layers * width])
        linear = try weights.linear(
            Self.projection, from: configuration.hiddenSize, to: layers * width, bias: .absent)
        norm = try Norm(configuration, "model.per_layer_projection_norm", weights, width: width)
        projectionScale = 1 / Double(configuration.hiddenSize).squareRoot()
    }

    /// Each layer's part, `[batch, length, width]`.
    /// - Parameters:
    ///   - tokens: int64 `[batch, length]`.
    ///   - embedded: the input of the first layer, `[batch, length, hidden]`.
    func callAsFunction(_ tokens: Tensor, _ embedded: Tensor) throws -> [Tensor] {
        let shape = tokens.shape + [layers, width]
        let context = try norm((linear(embedded) * projectionScale).reshaped(shape))
        let own = try table.embedding(tokens).reshaped(shape) * Double(width).squareRoot()
        let sum = try (context + own) * 0.5.squareRoot()
        return try sum.split(Array(repeating: 1, count: layers), axis: 2).map {
            try $0.reshaped(tokens.shape + [width]).contiguous()
        }
    }

    var projections: [(name: String, linear: Linear)] { [(Self.projection, linear)] }

    var parameters: [(name: String, tensor: Tensor)] {
        [(Self.tableName, table), (norm.name, norm.weight), ("\(Self.projection).weight", linear.weight)]
    }

    /// The memory of the table, in bytes.
    var tableBytes: Int { table.byteCount }
}

/// The part of a layer that adds what `LayerEmbedding` has for it to the residual, through a gate.
final class LayerEmbeddingPart {
    private let gate, output: (name: String, linear: Linear)
    let norm: Norm

    init(
        _ configuration: DecoderConfiguration, width: Int, _ name: String, _ weights: any WeightSource
    ) throws {
        func linear(_ part: String, from inputs: Int, to outputs: Int) throws -> (name: String, linear: Linear) {
            ("\(name).\(part)", try weights.linear("\(name).\(part)", from: inputs, to: outputs, bias: .absent))
        }
        let names = LayerEmbedding.layerProjections
        gate = try linear(names[0], from: configuration.hiddenSize, to: width)
        output = try linear(names[1], from: width, to: configuration.hiddenSize)
        norm = try Norm(configuration, "\(name).post_per_layer_input_norm", weights)
    }

    /// The term that is added to the residual `x`.
    /// - Parameter input: the layer's part of the embedding, `[batch, length, width]`.
    func callAsFunction(_ x: Tensor, _ input: Tensor) throws -> Tensor {
        let gated = try gate.linear(x)
        let input = gated.dtype == input.dtype ? input : try input.to(gated.dtype)
        return try norm(output.linear(gated.gated(input, by: .gelu)))
    }

    var projections: [(name: String, linear: Linear)] { [gate, output] }
}
