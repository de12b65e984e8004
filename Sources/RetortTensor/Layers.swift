import CTorch

/// The building blocks of a transformer, each one call into libtorch's kernels.
extension Tensor {
    /// `x · weightᵀ + bias`: `[…, in] → […, out]` with weight `[out, in]`.
    public func linear(_ weight: Tensor, bias: Tensor? = nil) throws -> Tensor {
        try Self.wrap(ct_linear(handle, weight.handle, nil, bias?.handle))
    }

    /// A projection's weight `[out, in]`, plain or packed, and its bias `[out]`.
    package typealias Projection = (weight: Tensor, scales: Tensor?, bias: Tensor?)

    /// Several projections of this input, as computed by `linear`; with few rows they are faster together than one by
    /// one.
    package func linears(_ projections: [Projection]) throws -> [Tensor] {
        var products = [OpaquePointer?](repeating: nil, count: projections.count)
        try Self.checked(
            ct_linears(
                handle, projections.map { $0.weight.handle }, projections.map { $0.scales?.handle },
                projections.map { $0.bias?.handle }, Int32(projections.count), &products))
        return try products.map(Self.wrap)
    }

    /// The activation of a gated layer's gate (arXiv 2002.05202).
    public enum Gate: Codable, Sendable, Hashable {
        /// x · sigmoid(x) (arXiv 1702.03118).
        case silu
        /// The Gaussian error linear unit (arXiv 1606.08415) in its tanh approximation.
        case gelu
    }

    /// `gate(self) · other` for each element.
    public func gated(_ other: Tensor, by gate: Gate) throws -> Tensor {
        try Self.wrap(ct_gated(handle, other.handle, gate == .gelu))
    }

    /// Rows of this table `[vocabulary, hidden]` for int64 indices `[…]` → `[…, hidden]`.
    public func embedding(_ indices: Tensor) throws -> Tensor {
        try Self.wrap(ct_embedding(handle, indices.handle))
    }

    /// Root-mean-square normalisation over the last axis (arXiv 1910.07467), scaled by `weight` `[hidden]`.
    public func rmsNorm(_ weight: Tensor, epsilon: Double) throws -> Tensor {
        try Self.wrap(ct_rms_norm(handle, weight.handle, epsilon))
    }

    /// The sum of this tensor and another, and its norm as in `rmsNorm`, in one pass.
    public func adding(
        _ other: Tensor, normalisedBy weight: Tensor, epsilon: Double
    ) throws -> (sum: Tensor, norm: Tensor) {
        var sum: OpaquePointer?
        var norm: OpaquePointer?
        try Self.checked(ct_add_rms_norm(handle, other.handle, weight.handle, epsilon, &sum, &norm))
        return (try Self.wrap(sum), try Self.wrap(norm))
    }

    /// Layer normalisation over the last axis (arXiv 1607.06450) of this tensor or of its sum with another, scaled by
    /// `weight` `[hidden]` and shifted by `bias` `[hidden]`.
    public func layerNorm(adding other: Tensor? = nil, _ weight: Tensor, bias: Tensor?, epsilon: Double) throws
        -> Tensor
    {
        try Self.wrap(ct_layer_norm(handle, other?.handle, weight.handle, bias?.handle, epsilon))
    }

    /// The activation of a layer without a gate.
    public enum Activation: Sendable, Hashable {
        /// The Gaussian error linear unit (arXiv 1606.08415), exact.
        case gelu
        /// The same in its tanh approximation.
        case geluByTanh
        /// max(x, 0).
        case relu
        /// x · sigmoid(x).
        case silu
        /// The hyperbolic tangent.
        case tanh
    }

    /// The activation applied to each element.
    public func activated(by activation: Activation) throws -> Tensor {
        switch activation {
        case .gelu: try Self.wrap(ct_gelu(handle, false))
        case .geluByTanh: try Self.wrap(ct_gelu(handle, true))
        case .relu: try Self.wrap(ct_relu(handle))
        case .silu: try self * sigmoid()
        case .tanh: try tanh()
        }
    }

    /// Rotates the first part of each head by its position's angles (arXiv 2104.09864), in the half-split layout of
    /// Hugging Face's checkpoints: `[batch, heads, length, dim]`, with cosines and sines `[batch, 1, length,
    /// rotated]`.
    public func rotated(cosine: Tensor, sine: Tensor) throws -> Tensor {
        try Self.wrap(ct_rotate(handle, cosine.handle, sine.handle))
    }

    /// Which keys a query attends to.
    public enum AttentionMask {
        /// All keys.
        case none
        /// Keys up to the query's own position; queries and keys must have the same length.
        case causal
        /// A mask that is added to the scores: `[batch, 1 or heads, queries, keys]`, 0 for visible keys and −∞ for
        /// others.
        case additive(Tensor)
    }

    /// Scaled dot-product attention (arXiv 1706.03762, eq. 1): query, key and value `[batch, heads, length, dim]`.
    public static func attention(_ query: Tensor, _ key: Tensor, _ value: Tensor, mask: AttentionMask) throws -> Tensor
    {
        switch mask {
        case .none: try wrap(ct_attention(query.handle, key.handle, value.handle, nil, false))
        case .causal: try wrap(ct_attention(query.handle, key.handle, value.handle, nil, true))
        case .additive(let bias): try wrap(ct_attention(query.handle, key.handle, value.handle, bias.handle, false))
        }
    }

    /// Causal attention of the last tokens of a text: query `[batch, heads, length, dim]`, key and value `[batch, key
    /// heads, past + length, dim]`, where each key head serves as many consecutive query heads.
    ///
    /// It processes one block of queries at a time with the keys that they attend to, as products of large matrices.
    /// On a CPU in bfloat16 that is three times as fast, forward and backward, as libtorch's fused kernel. Memory
    /// grows linearly with the text, not quadratically.
    public static func causalAttentionInBlocks(_ query: Tensor, _ key: Tensor, _ value: Tensor) throws -> Tensor {
        try wrap(ct_attention_in_blocks(query.handle, key.handle, value.handle, 512))
    }

    /// Attention over a row of samples that share beginnings, in one pass over tiles of scores: each token attends to
    /// its own segment up to itself and to all of the segments that this one continues. Query `[1, heads, tokens,
    /// dim]`, key and value `[1, key heads, tokens, dim]` → the query's shape.
    /// - Parameters:
    ///   - segments: the length of each segment, and the number of the earlier segment that it continues, or nil.
    ///   - window: how many tokens back a query sees, including its own; nil sees all.
    /// - Returns: nil when there is no kernel for this device, dtype or shape.
    package static func treeAttention(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, segments: [(length: Int, parent: Int?)], window: Int?
    ) throws -> Tensor? {
        guard ct_tree_attention_fits(query.handle, key.handle, value.handle) else { return nil }
        return try wrap(
            ct_tree_attention(
                query.handle, key.handle, value.handle, segments.map { Int64($0.length) },
                segments.map { Int64($0.parent ?? -1) }, Int32(segments.count), Int64(window ?? 0)))
    }

    /// Makes training use the portable kernels that run on every CPU, on all threads; for tests.
    package static func usePortableKernels(_ areUsed: Bool) { ct_use_portable_training(areUsed) }

    /// What products with weights in blocks, and attention over a row, compute without AMX's registers, which they use
    /// on CPUs that have them; for tests.
    package static func withoutMatrixRegisters<Result>(_ body: () throws -> Result) rethrows -> Result {
        ct_use_matrix_registers(false)
        defer { ct_use_matrix_registers(true) }
        return try body()
    }

    /// The number format in which adapted projections of bfloat16 are multiplied: bfloat16, float32, or block
    /// floating point (only if the CPU has the instructions).
    package enum Products: Int32, Sendable {
        case own = 0
        case float32 = 1
        case blocks = 2
    }

    /// Chooses the number format of adapted projections, for tests; nil takes the fastest on this CPU.
    package static func multiplyAdapted(in products: Products?) {
        ct_choose_training_products(products?.rawValue ?? -1)
    }

    /// The gated delta rule (arXiv 2412.06464). This tensor contains the tokens' queries, keys and values side by
    /// side, `[1, tokens, 2 · key heads · key width + value heads · value width]`. All three first go through x ·
    /// sigmoid(x); queries and keys are then normalised to length one. Each head's memory decays, and learns to
    /// return a token's value for its key.
    ///
    /// Without gradients and on the CPU, a token's result does not depend on how many tokens come at once, to the
    /// bit.
    /// - Parameters:
    ///   - learning: `[1, tokens, value heads]`, mapped to 0…1 by the sigmoid: how far the memory moves towards the
    ///     value.
    ///   - forgetting: `[1, tokens, value heads]`; the memory keeps exp(−exp(`rate`) · softplus(`forgetting` +
    ///     `bias`)).
    ///   - rate: `[value heads]`, as is `bias`.
    ///   - keys: the heads of keys and their width; `values` likewise. Each key head serves as many consecutive value
    ///     heads.
    ///   - memory: the memory after the preceding tokens, float32 `[value heads, key width, value width]`; nil is
    ///     empty.
    /// - Returns: `[1, tokens, value heads · value width]`, and the memory after the last token.
    package func gatedDelta(
        learning: Tensor, forgetting: Tensor, rate: Tensor, bias: Tensor, keys: (heads: Int, width: Int),
        values: (heads: Int, width: Int), memory: Tensor?
    ) throws -> (output: Tensor, memory: Tensor) {
        var output: OpaquePointer?
        var after: OpaquePointer?
        try Self.checked(
            ct_gated_delta(
                handle, learning.handle, forgetting.handle, rate.handle, bias.handle, Int64(keys.heads),
                Int64(keys.width), Int64(values.heads), Int64(values.width), memory?.handle, &output, &after))
        return (try Self.wrap(output), try Self.wrap(after))
    }

    /// Zeroes elements with a probability and scales the others to keep the mean. The same seed drops the same
    /// elements.
    public func dropout(_ probability: Double, seed: UInt64) throws -> Tensor {
        probability > 0 ? try Self.wrap(ct_dropout(handle, probability, seed)) : self
    }

    /// The summed cross-entropy, in nats and float32, of logits `[n, vocabulary]` of any precision against int64 targets `[n]`.
    public func crossEntropySum(_ targets: Tensor) throws -> Tensor {
        try Self.wrap(ct_cross_entropy_sum(handle, targets.handle))
    }

    /// The log-probabilities, in nats and float32, of elements `[rows[i], columns[i]]` of logits `[n, vocabulary]`: as many as `rows`.
    public func logProbabilities(rows: Tensor, columns: Tensor) throws -> Tensor {
        try Self.wrap(ct_log_probabilities(handle, rows.handle, columns.handle))
    }
}
