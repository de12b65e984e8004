import RetortTensor

/// A packed row in the form of variable-length attention, which fused kernels take; they know neither trees nor
/// earlier tokens.
///
/// A sequence's queries are a run of segments in which each continues the one directly before it, so a sample's first
/// continuation stays in one sequence with the part it shares. Its keys are everything that the run continues, and
/// the run itself. The last query is at the last key, which is how the kernels align their causal mask.
///
/// Keys and values of a shared beginning are copied once for each run that continues it: a row of `n` tokens whose
/// runs continue `p` tokens in all holds `2 · (n + p) · key heads · dim` elements per layer, while queries are held
/// once.
struct PackedSequences {
    private let layout: SequenceLayout
    /// The places of the keys in the concatenation of earlier tokens and the row; nil when they are in that order
    /// already.
    private let places: Tensor?

    /// - Parameter pasts: for each segment that begins a sample, the number of its tokens that were read earlier.
    init(_ segments: [RowSegment], pasts: [Int], device: Device) throws {
        let runs = Self.runs(segments, pasts: pasts)
        let all = runs.flatMap(\.keys)
        layout = try SequenceLayout(queries: runs.map(\.queries), keys: runs.map(\.keys.count), device: device)
        let isInPlace = all.elementsEqual(0..<pasts.reduce(0, +) + segments.reduce(0) { $0 + $1.length })
        places = isInPlace ? nil : try Tensor(integers: all).to(device: device)
    }

    /// Each run's number of queries, and the places of its keys.
    static func runs(_ segments: [RowSegment], pasts: [Int]) -> [(queries: Int, keys: [Int])] {
        let pastStarts = pasts.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
        var start = pastStarts.last ?? 0
        var runs: [(queries: Int, keys: [Int])] = []
        // For each segment, the places of its sample's keys so far.
        var seen: [[Int]] = []
        for (index, segment) in segments.enumerated() {
            let before =
                segment.parent.map { seen[$0] }
                ?? (index < pasts.count ? Array(pastStarts[index]..<pastStarts[index + 1]) : [])
            seen.append(before + Array(start..<start + segment.length))
            start += segment.length
            if let parent = segment.parent, parent == index - 1 {
                runs[runs.count - 1].queries += segment.length
                runs[runs.count - 1].keys = seen[index]
            } else {
                runs.append((segment.length, seen[index]))
            }
        }
        return runs
    }

    /// Attention over sequences: query `[queries, heads, dim]`, key and value `[keys, key heads, dim]`.
    typealias Kernel =
        @Sendable (
            _ query: Tensor, _ key: Tensor, _ value: Tensor, _ layout: SequenceLayout, _ form: AttentionForm
        ) throws -> Tensor

    /// Attention with a kernel; shapes are those of `AttentionContext`, with a batch of one.
    /// - Parameter read: keys and values that were read earlier, `[1, key heads, length, dim]`.
    func attend(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, read: [(key: Tensor, value: Tensor)], form: AttentionForm,
        by kernel: Kernel
    ) throws -> Tensor {
        func whole(_ read: [Tensor], _ own: Tensor) throws -> Tensor {
            let rows = try Self.rows(read.isEmpty ? own : Tensor.concatenated(read + [own], axis: 2))
            return try places.map(rows.repeatingRows) ?? rows
        }
        let output = try kernel(
            Self.rows(query), whole(read.map(\.key), key), whole(read.map(\.value), value), layout, form)
        return try output.reshaped([1] + output.shape).transposed(1, 2)
    }

    /// `[1, heads, length, dim] → [length, heads, dim]`.
    private static func rows(_ x: Tensor) throws -> Tensor {
        try x.transposed(1, 2).reshaped([x.shape[2], x.shape[1], x.shape[3]])
    }

    /// libtorch's fused kernel; `FusedAttention` decides where it is used.
    static let fused: Kernel = { query, key, value, layout, form in
        try Tensor.flashAttention(query, key, value, layout, window: form.window)
    }

    /// The same, sequence by sequence, with plain products and a mask: on any device, for comparison.
    static let plain: Kernel = { query, key, value, layout, form in
        let groups = query.shape[1] / key.shape[1]
        // [length, heads, dim] → [1, heads, length, dim]
        func heads(_ x: Tensor, _ lengths: [Int]) throws -> [Tensor] {
            try x.split(lengths, axis: 0).map { try $0.reshaped([1] + $0.shape).transposed(1, 2) }
        }
        let queries = try heads(query, layout.queries)
        let (keys, values) = (try heads(key, layout.keys), try heads(value, layout.keys))
        let outputs = try queries.indices.map { index in
            let (own, whole) = (layout.queries[index], layout.keys[index])
            let mask = try AttentionForm.mask(
                Tensor.range(0..<whole, device: query.device).reshaped([1, whole]),
                upTo: Tensor.range(whole - own..<whole, device: query.device).reshaped([own, 1]), window: form.window,
                like: query)
            return try form.attend(
                queries[index], keys[index].repeatingHeads(groups), values[index].repeatingHeads(groups),
                mask: mask.reshaped([1, 1, own, whole]))
        }
        return try Tensor.concatenated(outputs, axis: 2).transposed(1, 2).reshaped(query.shape)
    }
}
