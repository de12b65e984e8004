import CTorch

/// Decompositions of matrices, and replacement of rows.
extension Tensor {
    /// The best approximation of a matrix `[m, n]` by a product of the given rank, from its largest singular values:
    /// `[m, rank]` and `[rank, n]`.
    public func largestComponents(_ rank: Int) throws -> (up: Tensor, down: Tensor) {
        try factors(rank, ct_largest_components)
    }

    /// The first columns of Q `[m, rank]` and the first rows of R `[rank, n]` of a matrix's QR decomposition.
    public func orthogonalComponents(_ rank: Int) throws -> (up: Tensor, down: Tensor) {
        try factors(rank, ct_orthogonal_components)
    }

    private func factors(
        _ rank: Int,
        _ decompose: (
            OpaquePointer, Int64, UnsafeMutablePointer<OpaquePointer?>, UnsafeMutablePointer<OpaquePointer?>
        ) -> Int32
    ) throws -> (up: Tensor, down: Tensor) {
        var left: OpaquePointer?
        var right: OpaquePointer?
        try Self.checked(decompose(handle, Int64(rank), &left, &right))
        return (try Self.wrap(left), try Self.wrap(right))
    }

    /// A copy of a matrix with some of its rows replaced.
    /// - Parameter values: the new rows, `[places, n]`.
    public func replacing(_ places: [Int], by values: Tensor) throws -> Tensor {
        let copy = try Tensor.zeros(shape, dtype: dtype, device: device)
        try copy.assign(self)
        for (row, place) in places.enumerated() {
            try copy.narrowed(0, place..<place + 1).assign(values.narrowed(0, row..<row + 1))
        }
        return copy
    }
}
