import CTorch

/// The tokens of a pass through the layers: some of each of several sequences, concatenated.
package struct PagedPass {
    /// int32 tensors: each sequence's pages `[sequences, most]`, the places where its tokens start with the end of
    /// the last ones `[sequences + 1]`, and the position of its first token in the pass `[sequences]`.
    let tables, starts, firsts: Tensor

    /// - Parameters:
    ///   - tables: the pages of each sequence, including those of its tokens in the pass.
    ///   - counts: the number of each sequence's tokens in the pass.
    ///   - firsts: the position of each sequence's first token in the pass.
    package init(tables: [[Int32]], counts: [Int], firsts: [Int]) throws {
        let width = max(tables.map(\.count).max() ?? 0, 1)
        self.tables = try Tensor(
            int32: tables.flatMap { $0 + Array(repeating: -1, count: width - $0.count) }, shape: [tables.count, width])
        let starts = counts.reduce(into: [Int32(0)]) { $0.append(($0.last ?? 0) + Int32($1)) }
        self.starts = try Tensor(int32: starts, shape: [starts.count])
        self.firsts = try Tensor(int32: firsts.map(Int32.init), shape: [firsts.count])
    }
}

extension Tensor {
    /// The tokens in a page of keys and values.
    package static let pageTokens = 16

    /// Zeroed pages for a layer's keys and values, `[pages, key heads, 2, 16 · dim]`, which take memory only once
    /// they are written.
    package static func keyValuePages(_ pages: Int, heads: Int, dimension: Int, dtype: DType) throws -> Tensor {
        let shape = [pages, heads, 2, pageTokens * dimension].map(Int64.init)
        return try wrap(ct_zero_pages(shape, Int32(shape.count), dtype.code))
    }

    /// How a layer's attention over pages differs from plain attention.
    package struct PagedForm {
        /// The factor on scores.
        package var scale: Double
        /// How many tokens back a query sees, including its own; nil sees all.
        package var window: Int?
        /// The bound of soft-capped scores; nil does not cap.
        package var cap: Double?
        /// The weights `[dim]` of the norms of query and key heads, and the value added to their mean squares; nil
        /// has no norms.
        package var norms: (query: Tensor, key: Tensor?, epsilon: Double)?

        package init(
            scale: Double, window: Int?, cap: Double?, norms: (query: Tensor, key: Tensor?, epsilon: Double)?
        ) {
            self.scale = scale
            self.window = window
            self.cap = cap
            self.norms = norms
        }
    }

    /// Attention over pages, which it also writes: the tokens' keys and values are stored where their sequences'
    /// tables say. Without a key and a value it only reads, and the pages must already hold those of the pass.
    ///
    /// On CPUs with AVX512-BF16 and in bfloat16, a token's result depends on its own sequence alone, to the bit.
    /// - Parameters:
    ///   - query: `[tokens, heads · dim]`, neither normalised nor rotated yet.
    ///   - key: `[tokens, key heads · dim]`, likewise.
    ///   - value: `[tokens, key heads · dim]`.
    ///   - cosine: the cosines of the tokens' angles, `[tokens, rotated width]`; `sine` likewise.
    /// - Returns: `[tokens, heads · dim]`.
    package static func pagedAttention(
        _ query: Tensor, _ key: Tensor?, _ value: Tensor?, cosine: Tensor, sine: Tensor, pages: Tensor, pass: PagedPass,
        form: PagedForm
    ) throws -> Tensor {
        try wrap(
            ct_paged_attention(
                query.handle, key?.handle, value?.handle, cosine.handle, sine.handle, form.norms?.query.handle,
                form.norms?.key?.handle, pages.handle, pass.tables.handle, pass.starts.handle, pass.firsts.handle,
                form.scale, Int64(form.window ?? 0), form.cap ?? 0, form.norms?.epsilon ?? 0))
    }

    /// A tensor of 32-bit integers on the CPU.
    convenience init(int32 elements: [Int32], shape: [Int]) throws {
        let handle = try elements.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, !buffer.isEmpty else {
                throw TensorError.wrongByteCount(expected: 4, found: 0, shape: shape)
            }
            return try Self.checked(ct_from_int32(base, shape.map(Int64.init), Int32(shape.count)))
        }
        self.init(owning: handle)
    }
}
