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
    ///   - form: what the layer does otherwise than plain attention.
    /// - Returns: `[batch, heads, length, dim]`.
    func attend(layer: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm) throws -> Tensor
}

/// What sets a layer's attention apart.
public struct AttentionForm: Sendable, Hashable {
    /// How many tokens back a query sees, its own included; nil sees all.
    public var window: Int?
    /// Scores are pressed into ± this.
    public var cap: Double?

    /// Attends with a mask `[batch or 1, 1, queries, keys]` that is added to the scores.
    func attend(_ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor) throws -> Tensor {
        guard let cap else { return try Tensor.attention(query, key, value, mask: .additive(mask)) }
        let scale = 1 / Double(query.shape[3]).squareRoot()
        let scores = try query.matmul(key.transposed(2, 3)) * scale
        let capped = try (scores * (1 / cap)).tanh() * cap
        return try (capped + mask).to(.float32).softmax(axis: -1).to(value.dtype).matmul(value)
    }

    /// Attends causally: query `i` sees keys `0...i`, or the window of them.
    func attendCausally(_ query: Tensor, _ key: Tensor, _ value: Tensor) throws -> Tensor {
        let length = query.shape[2]
        let window = window.flatMap { $0 < length ? $0 : nil }
        guard window != nil || cap != nil else { return try Tensor.attention(query, key, value, mask: .causal) }
        let places = try Tensor.range(0..<length, device: query.device)
        let (rows, columns) = (try places.reshaped([length, 1]), try places.reshaped([1, length]))
        return try attend(
            query, key, value,
            mask: Self.mask(columns, upTo: rows, window: window, like: query)
                .reshaped([1, 1, length, length]))
    }

    /// 0 where a key's place is at most the query's, and within the window; −∞ elsewhere.
    static func mask(_ keys: Tensor, upTo queries: Tensor, window: Int?, like query: Tensor) throws -> Tensor {
        let (dtype, device) = (query.dtype, query.device)
        let zero = try Tensor.zeros([1], dtype: dtype, device: device)
        let hidden = try Tensor.full([1], -.infinity, dtype: dtype, device: device)
        let causal = try Tensor.choose(try keys.lessOrEqual(to: queries), zero, hidden)
        guard let window else { return causal }
        return try Tensor.choose(try queries.less(than: keys + Double(window)), causal, hidden)
    }
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

    public func attend(
        layer: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm
    ) throws -> Tensor {
        try keep?(layer, key, value)
        let groups = query.shape[1] / key.shape[1]
        let key = try key.repeatingHeads(groups)
        let value = try value.repeatingHeads(groups)
        guard segments.count > 1 else { return try form.attendCausally(query, key, value) }
        let queries = try query.split(segments, axis: 2)
        let keys = try key.split(segments, axis: 2)
        let values = try value.split(segments, axis: 2)
        let outputs = try segments.indices.map {
            try form.attendCausally(queries[$0], keys[$0], values[$0])
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
