import RetortCore
import RetortTensor

/// A decoder that embeds texts (Qwen3-Embedding, arXiv 2506.05176): every token sees those before it, so that the
/// last one, an end of text that the tokenizer adds, has seen all.
final class EmbeddingDecoder: TextNetwork {
    private let network: DecoderNetwork
    let names: Set<String>

    /// The supported values of `model_type`. Other decoders that embed texts have code of their own, in which tokens
    /// may see both ways.
    static let known = ["qwen3"]
    /// Classes whose states are those of the decoder.
    private static let classes: Set<String> = ["Qwen3Model", "Qwen3ForCausalLM"]

    /// The decoder's shape; the scores over the vocabulary, and the class that computes them, do not matter.
    static func configuration(_ fields: ConfigurationFields) throws -> DecoderConfiguration {
        let named = try fields.texts("architectures")
        if let stranger = named.first(where: { !classes.contains($0) }) {
            throw fields.unsupported("the architecture '\(stranger)' as an encoder")
        }
        if let own = try fields.members("auto_map").keys.first(where: { $0.hasPrefix("AutoModel") }) {
            throw fields.unsupported("'auto_map' with code of its own for '\(own)', in which tokens may see both ways,")
        }
        var own = fields.all
        own["architectures"] = nil
        var shape = try DecoderConfiguration(ConfigurationFields(own, path: fields.path))
        // The head is not read.
        shape.tiesWordEmbeddings = true
        return shape
    }

    /// - Parameters:
    ///   - weights: the source, in float32.
    ///   - products: the precision of products, float32 or bfloat16.
    ///   - prefix: the prefix of the names, `model.` or none.
    init(
        _ configuration: DecoderConfiguration, weights: any WeightSource, products: DType, prefix: String
    ) throws {
        let recorder = NameRecorder(weights)
        network = try DecoderNetwork(
            configuration,
            weights: DecoderNames(
                source: recorder, prefix: prefix, projections: Set(configuration.projectionNames), products: products))
        if products != .float32 { network.precision = products }
        names = recorder.names
    }

    func pack() throws { for (_, linear) in network.projections { try linear.pack(.bfloat16) } }

    func states(_ batch: EncoderBatch) throws -> Tensor {
        let context = PackedAttention(segments: batch.runs.flatMap { Array(repeating: $0.length, count: $0.count) })
        let (tokens, positions) = (try batch.tokens.reshaped([1, -1]), try batch.positions.reshaped([1, -1]))
        return try network.hidden(tokens, positions: positions, context: context)
            .reshaped([batch.tokens.count, network.configuration.hiddenSize])
    }
}

/// The weights of a decoder that was stored with or without its head, projections in the precision of products.
private struct DecoderNames: WeightSource {
    let source: any WeightSource
    let prefix: String
    let projections: Set<String>
    let products: DType

    func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        let tensor = try source.tensor(prefix + name.dropFirst("model.".count), shape)
        let module = name.split(separator: ".").dropLast().joined(separator: ".")
        return projections.contains(module) ? try tensor.to(products) : tensor
    }
}
