import RetortTensor

/// What the queries of a layer may look at: packed rows while training, the key/value cache while generating.
///
/// A model family computes queries, keys and values and leaves the rest to the context, so that it reads like its
/// paper and knows neither packing nor caching.
public protocol AttentionContext {
    /// Attends in layer `layer`.
    /// - Parameters:
    ///   - query: `[batch, heads, length, dim]`, rotated.
    ///   - key: `[batch, key heads, length, dim]`, rotated.
    ///   - value: `[batch, key heads, length, dim]`.
    /// - Returns: `[batch, heads, length, dim]`.
    func attend(layer: Int, query: Tensor, key: Tensor, value: Tensor) throws -> Tensor
}

/// Several samples in one row without padding: each attends causally to itself only.
public struct PackedAttention: AttentionContext {
    /// The samples' lengths, in the order of the row.
    public let segments: [Int]
    /// Called with each layer's keys and values, for a cache to keep.
    let keep: ((_ layer: Int, _ key: Tensor, _ value: Tensor) throws -> Void)?

    public init(segments: [Int]) { self.init(segments: segments, keep: nil) }

    init(segments: [Int], keep: ((Int, Tensor, Tensor) throws -> Void)?) {
        self.segments = segments
        self.keep = keep
    }

    /// 0, 1, 2, … within each segment.
    public var positions: [Int] { segments.flatMap { 0..<$0 } }

    public func attend(layer: Int, query: Tensor, key: Tensor, value: Tensor) throws -> Tensor {
        try keep?(layer, key, value)
        let groups = query.shape[1] / key.shape[1]
        let key = try key.repeatingHeads(groups)
        let value = try value.repeatingHeads(groups)
        guard segments.count > 1 else { return try Tensor.attention(query, key, value, mask: .causal) }
        let queries = try query.split(segments, axis: 2)
        let keys = try key.split(segments, axis: 2)
        let values = try value.split(segments, axis: 2)
        let outputs = try segments.indices.map {
            try Tensor.attention(queries[$0], keys[$0], values[$0], mask: .causal)
        }
        return try Tensor.concatenated(outputs, axis: 2)
    }
}

extension Tensor {
    /// Grouped-query attention (arXiv 2305.13245): each key head serves `groups` query heads in turn.
    func repeatingHeads(_ groups: Int) throws -> Tensor {
        guard groups > 1 else { return self }
        let shape = shape
        return try reshaped([shape[0], shape[1], 1, shape[2], shape[3]])
            .expanded([shape[0], shape[1], groups, shape[2], shape[3]])
            .reshaped([shape[0], shape[1] * groups, shape[2], shape[3]])
    }
}
