import RetortTensor

/// A network that turns texts into the states of their tokens, from which pooling makes vectors.
///
/// Embeddings, norms and the residual sums are float32; products and attention use the requested precision.
protocol TextNetwork: AnyObject {
    /// The names of all tensors that were loaded.
    var names: Set<String> { get }
    /// Lays the weights out for this CPU's own kernels.
    func pack() throws
    /// The last layer's states `[tokens, hidden]`.
    func states(_ batch: EncoderBatch) throws -> Tensor
}

/// Records the names of the tensors that are loaded.
final class NameRecorder: WeightSource {
    private let source: any WeightSource
    private(set) var names: Set<String> = []

    init(_ source: any WeightSource) { self.source = source }

    func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        names.insert(name)
        return try source.tensor(name, shape)
    }
}

extension Linear {
    /// The same projection in another precision.
    func `in`(_ dtype: DType) throws -> Linear { Linear(weight: try weight.to(dtype), bias: try bias?.to(dtype)) }
}

extension [EncoderBatch.Run] {
    /// Attention within each text: query `[1, heads, tokens, dim]`, key and value of the same heads → the query's
    /// shape.
    /// - Parameter attention: attends in texts of equal length, `[texts, heads, length, dim]` each.
    func attend(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, by attention: (Tensor, Tensor, Tensor) throws -> Tensor
    ) throws -> Tensor {
        let (heads, width) = (query.shape[1], query.shape[3])
        let parts = try map { run in
            let own = try [query, key, value].map {
                try $0.narrowed(2, run.range).reshaped([heads, run.count, run.length, width]).transposed(0, 1)
            }
            return try attention(own[0], own[1], own[2]).transposed(1, 2)
                .reshaped([1, run.count * run.length, heads, width])
        }
        return try (parts.count == 1 ? parts[0] : Tensor.concatenated(parts, axis: 1)).transposed(1, 2)
    }
}
