import CTorch

/// Shapes and selection. Axes may be negative, counted from the last.
extension Tensor {
    /// The same elements in another shape; one extent may be -1.
    public func reshaped(_ shape: [Int]) throws -> Tensor {
        try Self.wrap(ct_reshape(handle, shape.map(Int64.init), Int32(shape.count)))
    }

    /// Axes of extent 1 repeated without copying; -1 keeps an extent.
    public func expanded(_ shape: [Int]) throws -> Tensor {
        try Self.wrap(ct_expand(handle, shape.map(Int64.init), Int32(shape.count)))
    }

    /// The tensor with two axes exchanged.
    public func transposed(_ a: Int, _ b: Int) throws -> Tensor {
        try Self.wrap(ct_transpose(handle, Int64(a), Int64(b)))
    }

    /// The same elements stored row by row.
    public func contiguous() throws -> Tensor { try Self.wrap(ct_contiguous(handle)) }

    /// A range along an axis, which shares memory with this tensor.
    public func narrowed(_ axis: Int, _ range: Range<Int>) throws -> Tensor {
        try Self.wrap(ct_narrow(handle, Int64(axis), Int64(range.lowerBound), Int64(range.count)))
    }

    /// The rows of an axis that `indices` (int64 `[n]`) names, in that order.
    public func rows(_ indices: Tensor, axis: Int = 0) throws -> Tensor {
        try Self.wrap(ct_select_rows(handle, Int64(axis), indices.handle))
    }

    /// This tensor with `rows` added to the rows that `indices` (int64 `[n]`) names.
    public func addingRows(_ rows: Tensor, at indices: Tensor) throws -> Tensor {
        try Self.wrap(ct_add_rows(handle, indices.handle, rows.handle))
    }

    /// Elements picked along an axis; `indices` has the result's shape.
    public func gathered(_ indices: Tensor, axis: Int) throws -> Tensor {
        try Self.wrap(ct_gather(handle, Int64(axis), indices.handle))
    }

    /// `a` where the condition (bool) holds, else `b`.
    public static func choose(_ condition: Tensor, _ a: Tensor, _ b: Tensor) throws -> Tensor {
        try wrap(ct_where(condition.handle, a.handle, b.handle))
    }

    /// Tensors joined along an axis.
    public static func concatenated(_ tensors: [Tensor], axis: Int) throws -> Tensor {
        let handles = tensors.map(\.handle)
        return try wrap(
            handles.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return nil }
                return ct_concatenate(base, Int32(buffer.count), Int64(axis))
            })
    }

    /// The tensor split along an axis into parts of the given extents, which must add up to the axis's.
    public func split(_ extents: [Int], axis: Int) throws -> [Tensor] {
        var parts = [OpaquePointer?](repeating: nil, count: extents.count)
        try Self.checked(ct_split(handle, extents.map(Int64.init), Int32(extents.count), Int64(axis), &parts))
        return try parts.map(Self.wrap)
    }
}
