import CTorch

/// Sequences of different lengths, concatenated without padding, for variable-length attention.
///
/// A sequence has at least as many keys as queries, and its last query belongs to its last key.
public struct SequenceLayout {
    /// The number of queries of each sequence.
    public let queries: [Int]
    /// The number of keys of each sequence.
    public let keys: [Int]
    /// int32 `[sequences + 1]`: the start of each sequence, and the end of the last.
    fileprivate let queryStarts, keyStarts: Tensor

    /// Computes the starts, and puts them on the device.
    public init(queries: [Int], keys: [Int], device: Device) throws {
        self.queries = queries
        self.keys = keys
        queryStarts = try Self.starts(queries, device)
        keyStarts = try Self.starts(keys, device)
    }

    private static func starts(_ lengths: [Int], _ device: Device) throws -> Tensor {
        try Tensor(integers: lengths.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }).to(.int32, device: device)
    }
}

extension Tensor {
    /// Causal attention within sequences with libtorch's fused kernel (FlashAttention-2, arXiv 2307.08691), on CUDA
    /// in bfloat16 and float16: query `[queries, heads, dim]`, key and value `[keys, key heads, dim]` → `[queries,
    /// heads, dim]`.
    /// - Parameter window: how many tokens back a query sees, including its own; nil sees all.
    /// - Throws: libtorch's message when it has no such kernel for the device, the GPU or the shape.
    public static func flashAttention(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, _ layout: SequenceLayout, window: Int?
    ) throws -> Tensor {
        try wrap(
            ct_flash_attention(
                query.handle, key.handle, value.handle, layout.queryStarts.handle, layout.keyStarts.handle,
                Int64(layout.queries.max() ?? 0), Int64(layout.keys.max() ?? 0), Int64(window ?? 0)))
    }

    /// The rows that `indices` (int64 `[n]`) names, in that order, with repetitions; the gradients of a row's copies
    /// are summed in float32.
    public func repeatingRows(_ indices: Tensor) throws -> Tensor {
        try Self.wrap(ct_repeat_rows(handle, indices.handle))
    }
}
