import CTorch

/// A projection with a low-rank adapter (LoRA, arXiv 2106.09685).
package struct AdaptedProjection {
    /// `[out, in]`, and `[out]` or nil; neither is trained.
    package let weight: Tensor
    package let bias: Tensor?
    package let adapter: Update?

    /// `scale · dropout(x) · downᵀ · upᵀ`, with `down` `[rank, in]` and `up` `[out, rank]`.
    package struct Update {
        package let down, up: Tensor
        package let scale: Double
        /// The share of inputs that are dropped, and the seed that decides which.
        package let dropout: Double
        package let seed: UInt64

        package init(down: Tensor, up: Tensor, scale: Double, dropout: Double, seed: UInt64) {
            self.down = down
            self.up = up
            self.scale = scale
            self.dropout = dropout
            self.seed = seed
        }
    }

    package init(weight: Tensor, bias: Tensor?, adapter: Update?) {
        self.weight = weight
        self.bias = bias
        self.adapter = adapter
    }
}

extension Tensor {
    /// Several projections of this input `[…, in]`, each with its adapter: `x · weightᵀ + bias` and the update are
    /// added up in the product itself. Dropped elements are drawn again in the backward pass instead of being kept.
    package func adapted(_ projections: [AdaptedProjection]) throws -> [Tensor] {
        let arguments = projections.map { each in
            ct_adapted(
                weight: each.weight.handle, bias: each.bias?.handle, down: each.adapter?.down.handle,
                up: each.adapter?.up.handle, scale: each.adapter?.scale ?? 0, dropout: each.adapter?.dropout ?? 0,
                seed: each.adapter?.seed ?? 0)
        }
        var products = [OpaquePointer?](repeating: nil, count: projections.count)
        try withExtendedLifetime(projections) {
            try Self.checked(ct_adapted_linears(handle, arguments, Int32(arguments.count), &products))
        }
        return try products.map(Self.wrap)
    }
}
