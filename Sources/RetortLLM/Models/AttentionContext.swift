import RetortTensor

/// Determines what the queries of a layer may attend to: packed rows in training, the key/value cache in generation.
///
/// A model family computes queries, keys and values and leaves the rest to the context, so that its code reads like
/// its paper and knows neither packing nor caching.
public protocol AttentionContext {
    /// Computes the attention of layer `layer`.
    /// - Parameters:
    ///   - query: `[batch, heads, length, dim]`, rotated.
    ///   - key: `[batch, key heads, length, dim]`, rotated.
    ///   - value: `[batch, key heads, length, dim]`.
    ///   - form: how the layer differs from plain attention.
    /// - Returns: `[batch, heads, length, dim]`.
    func attend(layer: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm) throws -> Tensor

    /// The same for a layer without keys and values of its own, which reads those that layer `source` has had attended
    /// to in the same pass.
    /// - Parameters:
    ///   - key: the keys of that layer, as in `attend(layer:query:key:value:form:)`.
    ///   - value: its values.
    func attend(
        reading source: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm
    ) throws -> Tensor

    /// Processes the tokens of each text in order, in layer `layer`, which carries a state from one token to the
    /// next.
    /// - Parameters:
    ///   - inputs: the inputs of all tokens, `[1, length, width]` each.
    ///   - step: processes some consecutive tokens of one text from the state before them; nil is the beginning of
    ///     the text.
    /// - Returns: the outputs of all tokens, `[1, length, width]`.
    func carry(layer: Int, _ inputs: [Tensor], through step: CarryingStep) throws -> Tensor
}

/// Processes some tokens of a text from the state before them, and returns their output and the state after them.
public typealias CarryingStep = (_ inputs: [Tensor], _ state: [Tensor]?) throws -> (output: Tensor, state: [Tensor])

extension AttentionContext {
    /// Applies a step to runs of tokens, one after the other.
    /// - Parameters:
    ///   - lengths: the lengths of the runs, which add up to all tokens.
    ///   - before: returns the state before a run, by the run's number; called when the earlier runs are done.
    ///   - after: receives the state after a run.
    func carry(
        _ inputs: [Tensor], through step: CarryingStep, lengths: [Int], before: (Int) throws -> [Tensor]?,
        after: (Int, [Tensor]) throws -> Void
    ) throws -> Tensor {
        let parts = try inputs.map { lengths.count == 1 ? [$0] : try $0.split(lengths, axis: 1) }
        let outputs = try lengths.indices.map { run in
            let (output, state) = try step(parts.map { $0[run] }, before(run))
            try after(run, state)
            return output
        }
        return outputs.count == 1 ? outputs[0] : try Tensor.concatenated(outputs, axis: 1)
    }
}

/// A context that takes a layer's unprocessed projections and does all the rest in one go.
protocol ProjectedAttention: AttentionContext {
    /// Attention over projections `[batch, length, heads · dim]` that are neither normalised nor rotated yet.
    /// - Returns: `[batch, length, heads · dim]`.
    func attend(_ attention: Attention, _ projected: [Tensor], _ angles: RotaryEmbedding.Angles) throws -> Tensor
}

/// How a layer's attention differs from plain attention.
public struct AttentionForm: Sendable, Hashable {
    /// How many tokens back a query sees, including its own; nil sees all.
    public var window: Int?
    /// The bound of soft-capped scores, as in Gemma 2; nil does not cap.
    public var cap: Double?

    /// Attention with a mask `[batch or 1, 1, queries, keys]` that is added to the scores.
    func attend(_ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor) throws -> Tensor {
        guard let cap else { return try Tensor.attention(query, key, value, mask: .additive(mask)) }
        let scale = 1 / Double(query.shape[3]).squareRoot()
        let scores = try query.matmul(key.transposed(2, 3)) * scale
        let capped = try (scores * (1 / cap)).tanh() * cap
        return try (capped + mask).to(.float32).softmax(axis: -1).to(value.dtype).matmul(value)
    }

    /// With fewer keys, the fused kernel is used, which rounds less.
    private static let fewestKeysInBlocks = 512

    /// Whether large products are the fastest way; see `Tensor.causalAttentionInBlocks`.
    func suitsBlocks(_ query: Tensor, _ key: Tensor) -> Bool {
        window == nil && cap == nil && query.dtype == .bfloat16 && query.device == .cpu
            && key.shape[2] >= Self.fewestKeysInBlocks
    }

    /// Causal attention: query `i` sees keys `0...i`, or those of them inside the window.
    func attendCausally(_ query: Tensor, _ key: Tensor, _ value: Tensor) throws -> Tensor {
        if suitsBlocks(query, key) { return try Tensor.causalAttentionInBlocks(query, key, value) }
        let groups = query.shape[1] / key.shape[1]
        let (key, value) = (try key.repeatingHeads(groups), try value.repeatingHeads(groups))
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

    /// 0 for keys at or before the query and inside the window; −∞ elsewhere.
    static func mask(_ keys: Tensor, upTo queries: Tensor, window: Int?, like query: Tensor) throws -> Tensor {
        let (dtype, device) = (query.dtype, query.device)
        let zero = try Tensor.zeros([1], dtype: dtype, device: device)
        let hidden = try Tensor.full([1], -.infinity, dtype: dtype, device: device)
        let causal = try Tensor.choose(try keys.lessOrEqual(to: queries), zero, hidden)
        guard let window else { return causal }
        return try Tensor.choose(try queries.less(than: keys + Double(window)), causal, hidden)
    }
}

/// A segment of a row's tokens: a sample, a beginning that several samples share, or the continuation of another
/// segment.
public struct RowSegment: Codable, Sendable, Hashable {
    /// The number of tokens.
    public var length: Int
    /// The number of the segment that it continues, which must be earlier in the row; nil begins a sample.
    public var parent: Int?

    /// - Parameter parent: the number of the earlier segment that it continues; nil begins a sample.
    public init(length: Int, parent: Int? = nil) {
        self.length = length
        self.parent = parent
    }
}

/// Several samples in one row without padding, as trees of their shared parts: each token attends to its own segment
/// up to itself, and to all of the segments that this one continues.
package struct PackedAttention: AttentionContext {
    /// The segments in the order of the row.
    package let segments: [RowSegment]
    /// Called with each layer's keys and values, for a cache.
    let keep: ((_ layer: Int, _ key: Tensor, _ value: Tensor) throws -> Void)?
    /// For each segment that begins a sample, what was read of the sample earlier.
    let pasts: [Past?]
    /// For each segment, the segments it continues, the first one first.
    private let ancestors: [[Int]]
    private let method: Method
    private let masks = MaskStore()
    private let sequences = SequenceStore()

    /// How attention over a row is computed; the ways differ only in rounding.
    package enum Method: Sendable {
        /// With the fused kernel where it is usable (`FusedAttention`), otherwise segment by segment.
        case fastest
        /// In the layout of the fused kernel, but with plain products.
        case sequences
    }

    /// Keys and values of the tokens before a segment, by layer: `[1, key heads, length, dim]` or longer.
    struct Past {
        let length: Int
        let layers: [Int: (key: Tensor, value: Tensor)]

        /// A layer's keys and values, cut to the length.
        func read(_ layer: Int) throws -> (key: Tensor, value: Tensor) {
            guard let read = layers[layer] else { throw MissingKeys(layer: layer, source: layer) }
            return (try read.key.narrowed(2, 0..<length), try read.value.narrowed(2, 0..<length))
        }
    }

    /// A row of independent samples.
    /// - Parameter segments: the number of tokens of each sample.
    package init(segments: [Int]) { self.init(segments: segments, keep: nil) }

    init(segments: [Int], pasts: [Past?] = [], method: Method = .fastest, keep: ((Int, Tensor, Tensor) throws -> Void)?)
    {
        self.init(tree: segments.map { RowSegment(length: $0) }, pasts: pasts, method: method, keep: keep)
    }

    /// A row of segment trees; each segment must come after the one that it continues.
    package init(tree segments: [RowSegment], method: Method = .fastest) {
        self.init(tree: segments, pasts: [], method: method, keep: nil)
    }

    private init(
        tree segments: [RowSegment], pasts: [Past?], method: Method, keep: ((Int, Tensor, Tensor) throws -> Void)?
    ) {
        self.segments = segments
        self.method = method
        self.pasts = pasts
        self.keep = keep
        var ancestors: [[Int]] = []
        for segment in segments { ancestors.append(segment.parent.map { ancestors[$0] + [$0] } ?? []) }
        self.ancestors = ancestors
    }

    /// The number of tokens before a segment in its sample.
    private func past(_ index: Int) -> Int {
        ancestors[index].reduce(readBefore(index)?.length ?? 0) { $0 + segments[$1].length }
    }

    private func readBefore(_ index: Int) -> Past? {
        let root = ancestors[index].first ?? index
        return root < pasts.count ? pasts[root] : nil
    }

    /// Every token's position in its sample, counted from 0.
    package var positions: [Int] {
        segments.indices.flatMap { index in
            let past = past(index)
            return past..<past + segments[index].length
        }
    }

    /// The kernel that computes the whole row at once; nil computes segment by segment.
    private func kernel(_ query: Tensor, _ key: Tensor, _ form: AttentionForm) -> PackedSequences.Kernel? {
        switch method {
        case .sequences: PackedSequences.plain
        case .fastest: FusedAttention.refusal(query, key, form) == nil ? PackedSequences.fused : nil
        }
    }

    /// Processes each segment from the state after the segment that it continues.
    package func carry(layer: Int, _ inputs: [Tensor], through step: CarryingStep) throws -> Tensor {
        var states: [[Tensor]] = []
        return try carry(
            inputs, through: step, lengths: segments.map(\.length), before: { segments[$0].parent.map { states[$0] } },
            after: { states.append($1) })
    }

    /// Attention within segments and to those that they continue; shapes are those of `AttentionContext`.
    package func attend(
        layer: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm
    ) throws -> Tensor {
        try keep?(layer, key, value)
        return try attend(reading: layer, query: query, key: key, value: value, form: form)
    }

    /// The same over keys and values that layer `source` has already handed to the cache.
    package func attend(
        reading source: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm
    ) throws -> Tensor {
        if let kernel = kernel(query, key, form) {
            let sequences = try sequences.of(segments, pasts: pasts.map { $0?.length ?? 0 }, device: query.device)
            return try sequences.attend(
                query, key, value, read: pasts.compactMap { try $0?.read(source) }, form: form, by: kernel)
        }
        if form.cap == nil, !pasts.contains(where: { $0 != nil }),
            let attended = try Tensor.treeAttention(
                query, key, value, segments: segments.map { ($0.length, $0.parent) }, window: form.window)
        {
            return attended
        }
        guard segments.count > 1 || readBefore(0) != nil else { return try form.attendCausally(query, key, value) }
        let lengths = segments.map(\.length)
        let queries = try query.split(lengths, axis: 2)
        let keys = try key.split(lengths, axis: 2)
        let values = try value.split(lengths, axis: 2)
        let groups = query.shape[1] / key.shape[1]
        let outputs = try segments.indices.map { index in
            let path = ancestors[index] + [index]
            let before = readBefore(index)
            guard path.count > 1 || before != nil else {
                return try form.attendCausally(queries[index], keys[index], values[index])
            }
            let read = try before.map { [try $0.read(source)] } ?? []
            let key = try Tensor.concatenated(read.map(\.key) + path.map { keys[$0] }, axis: 2)
            let value = try Tensor.concatenated(read.map(\.value) + path.map { values[$0] }, axis: 2)
            if form.suitsBlocks(queries[index], key) {
                return try Tensor.causalAttentionInBlocks(queries[index], key, value)
            }
            return try form.attend(
                queries[index], key.repeatingHeads(groups), value.repeatingHeads(groups),
                mask: masks.mask(past: past(index), length: lengths[index], form: form, like: queries[index]))
        }
        return try Tensor.concatenated(outputs, axis: 2)
    }
}

/// The layout of a row's sequences, which is the same in all layers.
private final class SequenceStore {
    private var made: PackedSequences?

    func of(_ segments: [RowSegment], pasts: [Int], device: Device) throws -> PackedSequences {
        let sequences = try made ?? PackedSequences(segments, pasts: pasts, device: device)
        made = sequences
        return sequences
    }
}

/// The masks of segments that continue others; all layers of a kind share them.
private final class MaskStore {
    private struct Key: Hashable {
        let past: Int
        let length: Int
        let window: Int?
    }

    private var masks: [Key: Tensor] = [:]

    /// `[1, 1, length, past + length]`, added to scores.
    func mask(past: Int, length: Int, form: AttentionForm, like query: Tensor) throws -> Tensor {
        let key = Key(past: past, length: length, window: form.window)
        if let known = masks[key] { return known }
        let whole = past + length
        let keys = try Tensor.range(0..<whole, device: query.device).reshaped([1, whole])
        let queries = try Tensor.range(past..<whole, device: query.device).reshaped([length, 1])
        let mask = try AttentionForm.mask(keys, upTo: queries, window: form.window, like: query)
            .reshaped([1, 1, length, whole])
        masks[key] = mask
        return mask
    }
}

extension Tensor {
    /// Repeats heads for grouped-query attention (arXiv 2305.13245): each key head serves `groups` consecutive query
    /// heads.
    func repeatingHeads(_ groups: Int) throws -> Tensor {
        guard groups > 1 else { return self }
        let shape = shape
        return try reshaped([shape[0], shape[1], 1, shape[2], shape[3]])
            .expanded([shape[0], shape[1], groups, shape[2], shape[3]])
            .reshaped([shape[0], shape[1] * groups, shape[2], shape[3]])
    }
}
