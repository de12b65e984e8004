import RetortTensor

/// A projection `x · weightᵀ + bias`, with an optional low-rank adapter beside it.
public final class Linear {
    /// `[out, in]`; empty once packed.
    public private(set) var weight: Tensor
    /// The packed weight that replaces `weight`; nil while it is not packed.
    private var packed: PackedWeight?
    /// `[out]`, or nil.
    public let bias: Tensor?
    /// The precision of the product, if it differs from the weight's: float32 weights are trained with bfloat16
    /// products.
    var precision: DType?
    /// The adapter of training or of a loaded checkpoint; nil for none.
    public var adapter: LowRankAdapter?
    /// Adapters that are served side by side, by number.
    var served: [Int: LowRankAdapter] = [:]
    /// Which rows of the next input belong to which served adapter.
    var routing: AdapterRouting?

    init(weight: Tensor, bias: Tensor?) {
        self.weight = weight
        self.bias = bias
    }

    /// Packs the weight, after which it can be used only for inference.
    func pack(_ bits: PackedWeight.Bits) throws {
        guard let packed = try PackedWeight(weight, bits: bits) else { return }
        self.packed = packed
        weight = try Tensor.zeros([0], dtype: weight.dtype)
        for adapter in served.values { try adapter.pack() }
    }

    /// The memory of the weight and the bias, in bytes.
    var bytes: Int { (packed?.bytes ?? weight.byteCount) + (bias?.byteCount ?? 0) }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        if let products = try Self.withAdapters([self], of: x) { return products[0] }
        let x = try precision.map { try x.to($0) } ?? x
        guard let precision, packed == nil else { return try adapted(product(x), x) }
        return try adapted(x.linear(weight.to(precision), bias: bias?.to(precision)), x)
    }

    /// Several projections of the same input.
    static func all(_ linears: [Linear], of x: Tensor) throws -> [Tensor] {
        if let products = try withAdapters(linears, of: x) { return products }
        // Packed weights take bfloat16, and training has its own precision; these are computed one by one.
        let together = linears.count > 1 && linears.allSatisfy { $0.precision == nil && $0.takes(x.dtype) }
        guard together else { return try linears.map { try $0(x) } }
        let products = try x.linears(linears.map(\.projection))
        return try zip(linears, products).map { try $0.adapted($1, x) }
    }

    /// Projections of one input in one call, including adapters over unpacked weights; nil when that is not possible.
    private static func withAdapters(_ linears: [Linear], of x: Tensor) throws -> [Tensor]? {
        let precision = linears[0].precision ?? x.dtype
        let fits = linears.allSatisfy { linear in
            linear.packed == nil && linear.precision == linears[0].precision && linear.weight.dtype == precision
                && (linear.adapter != nil || linear.routing == nil || linear.served.isEmpty)
        }
        guard fits, linears.contains(where: { $0.adapter != nil }) else { return nil }
        return try (x.dtype == precision ? x : x.to(precision)).adapted(
            try linears.map { linear in
                AdaptedProjection(
                    weight: linear.weight,
                    bias: try linear.bias.map { $0.dtype == precision ? $0 : try $0.to(precision) },
                    adapter: linear.adapter?.update())
            })
    }

    private func takes(_ dtype: DType) -> Bool { dtype == (packed == nil ? weight.dtype : .bfloat16) }

    private var projection: Tensor.Projection {
        packed?.projection(bias: bias) ?? (weight, nil, bias)
    }

    private func product(_ x: Tensor) throws -> Tensor {
        guard let packed else { return try x.linear(weight, bias: bias) }
        return try packed.linear(x, bias: bias?.to(.bfloat16))
    }

    /// A product with the adapters' contributions.
    private func adapted(_ base: Tensor, _ x: Tensor) throws -> Tensor {
        if let adapter { return try base + adapter.part(of: x, base, bias) }
        guard let routing, !served.isEmpty else { return base }
        return try routed(base, x, routing)
    }

    /// Adds each served adapter's contribution to the rows that belong to it.
    private func routed(_ base: Tensor, _ x: Tensor, _ routing: AdapterRouting) throws -> Tensor {
        let shape = base.shape
        let inputs = try x.reshaped([-1, x.shape[x.rank - 1]])
        var outputs = try base.reshaped([-1, shape[shape.count - 1]])
        for part in routing.parts {
            guard let adapter = served[part.adapter] else { continue }
            let added = try adapter.part(of: inputs.rows(part.rows), outputs.rows(part.rows), bias)
            outputs = try outputs.addingRows(added.to(outputs.dtype), at: part.rows)
        }
        return try outputs.reshaped(shape)
    }
}

/// Which tokens of a pass belong to which adapter; all others belong to the base model.
struct AdapterRouting {
    /// An adapter's number, and the places of its tokens in the flattened batch.
    let parts: [(adapter: Int, rows: Tensor)]

    /// - Parameter adapters: for each token of the flattened batch, the number of its adapter, or nil.
    init?(_ adapters: [Int?], device: Device) throws {
        let numbers = Set(adapters.compactMap(\.self)).sorted()
        guard !numbers.isEmpty else { return nil }
        parts = try numbers.map { number in
            let places = adapters.indices.filter { adapters[$0] == number }
            return (number, try Tensor(integers: places).to(device: device))
        }
    }
}

/// LoRA (arXiv 2106.09685): `scale · B·A·x`, where B starts at zero, so that training starts from the base model.
public final class LowRankAdapter {
    /// `[rank, in]`.
    public let down: Tensor
    /// `[out, rank]`.
    public let up: Tensor
    /// alpha / rank.
    public let scale: Double
    /// The factor on each output without its bias (DoRA, arXiv 2402.09353), `[out]`; nil is 1.
    let gain: Tensor?
    /// Both matrices packed for inference, if this CPU has kernels for them.
    private var packed: (down: PackedWeight, up: PackedWeight)?
    /// The share of inputs that are dropped, 0 to 1; only used in training.
    public var dropout: Double
    /// Decides which inputs the next call drops; changes with each call.
    public var dropoutSeed: UInt64 = 0

    /// - Parameter scale: the factor on the product of the matrices.
    public convenience init(down: Tensor, up: Tensor, scale: Double, dropout: Double = 0) {
        self.init(down: down, up: up, scale: scale, dropout: dropout, gain: nil)
    }

    init(down: Tensor, up: Tensor, scale: Double, dropout: Double = 0, gain: Tensor?) {
        self.gain = gain
        self.down = down
        self.up = up
        self.scale = scale
        self.dropout = dropout
    }

    /// What the next product needs of the adapter; the one after it drops other inputs.
    func update() -> AdaptedProjection.Update {
        defer { dropoutSeed &+= 1 }
        return AdaptedProjection.Update(down: down, up: up, scale: scale, dropout: dropout, seed: dropoutSeed)
    }

    /// Packs both matrices in blocks, only for inference: a row's result then does not depend on the other rows.
    /// Ranks that do not fill a block are padded with zeros.
    func pack() throws {
        let (rank, block) = (down.shape[0], 32)
        let more = (block - rank % block) % block
        let wide = try Tensor.concatenated([down, Tensor.zeros([more, down.shape[1]], dtype: down.dtype)], axis: 0)
        let tall = try Tensor.concatenated([up, Tensor.zeros([up.shape[0], more], dtype: up.dtype)], axis: 1)
        guard let first = try PackedWeight(wide, bits: .bfloat16), let second = try PackedWeight(tall, bits: .bfloat16)
        else { return }
        packed = (first, second)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        if let packed { return try packed.up.linear(packed.down.linear(x)) * scale }
        defer { dropoutSeed &+= 1 }
        return try x.dropout(dropout, seed: dropoutSeed).linear(down.to(x.dtype)).linear(up.to(x.dtype)) * scale
    }

    /// What the adapter adds to a projection's output `base`, which includes the bias.
    func part(of x: Tensor, _ base: Tensor, _ bias: Tensor?) throws -> Tensor {
        guard let gain else { return try self(x) }
        let own = try bias.map { try base - $0.to(base.dtype) } ?? base
        return try (own + self(x)) * gain.to(base.dtype) - own
    }

    /// The change of the weight: `scale · B·A`, `[out, in]`.
    public func delta() throws -> Tensor { try up.matmul(down) * scale }
}
