import RetortTensor

/// A projection `x · weightᵀ + bias`, with an optional low-rank adapter beside it.
public final class Linear {
    /// `[out, in]`; empty once packed.
    public private(set) var weight: Tensor
    /// The weight in few bits, in its place.
    private var packed: PackedWeight?
    /// `[out]`, or nil.
    public let bias: Tensor?
    /// The precision of the product, when it is not the weight's own: float32 weights learn, bfloat16 computes.
    var precision: DType?
    /// The adapter that training or a loaded checkpoint put here.
    public var adapter: LowRankAdapter?
    /// Adapters that serve side by side, by number.
    var served: [Int: LowRankAdapter] = [:]
    /// Which rows of what comes now belong to which of them.
    var routing: AdapterRouting?

    init(weight: Tensor, bias: Tensor?) {
        self.weight = weight
        self.bias = bias
    }

    /// Holds the weight in few bits from now on: for inference only.
    func pack(_ bits: PackedWeight.Bits) throws {
        guard let packed = try PackedWeight(weight, bits: bits) else { return }
        self.packed = packed
        weight = try Tensor.zeros([0], dtype: weight.dtype)
        for adapter in served.values { try adapter.pack() }
    }

    /// What the weight and the bias take, in bytes.
    var bytes: Int { (packed?.bytes ?? weight.byteCount) + (bias?.byteCount ?? 0) }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        if let products = try Self.withAdapters([self], of: x) { return products[0] }
        guard let precision, packed == nil else { return try adapted(product(x), x) }
        let x = try x.to(precision)
        return try adapted(x.linear(weight.to(precision), bias: bias?.to(precision)), x)
    }

    /// Several projections of one input.
    static func all(_ linears: [Linear], of x: Tensor) throws -> [Tensor] {
        if let products = try withAdapters(linears, of: x) { return products }
        // Bytes and half bytes take bfloat16, and training its own precision: these go one by one.
        let together = linears.count > 1 && linears.allSatisfy { $0.precision == nil && $0.takes(x.dtype) }
        guard together else { return try linears.map { try $0(x) } }
        let products = try x.linears(linears.map(\.projection))
        return try zip(linears, products).map { try $0.adapted($1, x) }
    }

    /// Projections of one input in one go, updates included, where there are adapters beside whole weights; nil elsewhere.
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

    /// What adapters make of a product.
    private func adapted(_ base: Tensor, _ x: Tensor) throws -> Tensor {
        if let adapter { return try base + adapter.part(of: x, base, bias) }
        guard let routing, !served.isEmpty else { return base }
        return try routed(base, x, routing)
    }

    /// Adds each adapter's part to the rows that it answers for.
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

/// Which tokens of one pass belong to which adapter; the others are the base model's.
struct AdapterRouting {
    /// An adapter's number, and its tokens' places in the flattened batch.
    let parts: [(adapter: Int, rows: Tensor)]

    /// - Parameter adapters: for each token of the flattened batch, its adapter's number, or nil.
    init?(_ adapters: [Int?], device: Device) throws {
        let numbers = Set(adapters.compactMap(\.self)).sorted()
        guard !numbers.isEmpty else { return nil }
        parts = try numbers.map { number in
            let places = adapters.indices.filter { adapters[$0] == number }
            return (number, try Tensor(integers: places).to(device: device))
        }
    }
}

/// LoRA (arXiv 2106.09685): `scale · B·A·x`, where B starts at zero so that training starts from the base model.
public final class LowRankAdapter {
    /// `[rank, in]`.
    public let down: Tensor
    /// `[out, rank]`.
    public let up: Tensor
    /// alpha / rank.
    public let scale: Double
    /// What each output is multiplied by, its bias aside (DoRA, arXiv 2402.09353): `[out]`; nil is 1.
    let gain: Tensor?
    /// Both matrices laid out for inference, where this CPU has kernels for them.
    private var packed: (down: PackedWeight, up: PackedWeight)?
    /// The share of inputs dropped; only while training.
    public var dropout: Double
    /// Decides which inputs the next call drops; moves on with each call.
    public var dropoutSeed: UInt64 = 0

    /// - Parameter scale: what the product is multiplied by.
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

    /// What a product takes of it; the next one drops other inputs.
    func update() -> AdaptedProjection.Update {
        defer { dropoutSeed &+= 1 }
        return AdaptedProjection.Update(down: down, up: up, scale: scale, dropout: dropout, seed: dropoutSeed)
    }

    /// Lays both matrices out in blocks, for inference only: then what a row becomes does not depend on the others. Ranks that do not
    /// fill a block are filled up with zeros.
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

    /// What the adapter adds to the weight: `scale · B·A`, `[out, in]`.
    public func delta() throws -> Tensor { try up.matmul(down) * scale }
}
