import Testing

@testable import RetortTensor

/// What training's kernels do in one pass, plain operations in float32 do in many: outputs and gradients are the same up to
/// rounding, with and without the CPU's wide instructions.
@Suite("Training kernels", .serialized)
struct TrainingKernelsTests {
    struct Variant: Sendable, CustomTestStringConvertible {
        let dtype: DType
        let isPortable: Bool
        var testDescription: String { "\(dtype.rawValue), \(isPortable ? "any CPU" : "this CPU")" }
        /// Of the largest element.
        var tolerance: Float { dtype == .float32 ? 2e-5 : 0.02 }
    }

    static let ways = [DType.float32, .bfloat16].flatMap { dtype in
        [false, true].map { Variant(dtype: dtype, isPortable: $0) }
    }
    /// Rows and their width: whole registers, ragged ends, less than a register, one.
    static let shapes = [[3, 64], [7, 37], [2, 5, 17], [1, 1], [130, 576]]

    /// Dropout, and in what products are made.
    static let forms: [(dropout: Double, products: Tensor.Products)] = [
        (0, .own), (0, .float32), (0, .blocks), (0.3, .own), (0.3, .float32), (0.3, .blocks),
    ]

    /// An input of what is compared, and whether it learns.
    typealias Computation = ([Tensor]) throws -> [Tensor]

    /// Compares results and gradients of a computation with those of plain operations in float32.
    private func expectSame(
        _ variant: Variant, _ inputs: [Tensor], sourceLocation: SourceLocation = #_sourceLocation, _ found: Computation,
        plain: Computation
    ) throws {
        Tensor.usePortableKernels(variant.isPortable)
        defer { Tensor.usePortableKernels(false) }
        let rounded = try inputs.map { try $0.to(variant.dtype).detached() }
        func results(_ dtype: DType, _ compute: Computation) throws -> [[Float]] {
            // Leaves of the computation's own precision, of equal values.
            let leaves = try rounded.map { try ($0.to(dtype) * 1).detached().requireGradient() }
            let outputs = try compute(leaves)
            var total = try Tensor.zeros([], dtype: .float32)
            for (number, output) in outputs.enumerated() {
                let weights = try Tensor.normal(output.shape, deviation: 1, seed: UInt64(90 + number))
                total = try total + (output.to(.float32) * weights).sum()
            }
            try total.backward()
            return try outputs.map { try $0.detached().floats() }
                + leaves.map { try $0.gradient()?.floats() ?? [] }
        }
        let (ours, theirs) = (try results(variant.dtype, found), try results(.float32, plain))
        for (part, (a, b)) in zip(ours, theirs).enumerated() {
            #expect(a.count == b.count, "part \(part)", sourceLocation: sourceLocation)
            let largest = max(b.map(abs).max() ?? 0, 0.05)
            let error = zip(a, b).map { abs($0 - $1) }.max() ?? 0
            #expect(
                a.allSatisfy(\.isFinite) && error <= variant.tolerance * largest,
                "part \(part) is off by \(error) of \(largest)", sourceLocation: sourceLocation)
        }
    }

    private func plainNorm(_ x: Tensor, _ weight: Tensor) throws -> Tensor {
        try x * ((x * x).mean(keepingAxis: -1) + 1e-5).reciprocalSquareRoot() * weight
    }

    @Test("a norm", arguments: ways, shapes)
    func norm(variant: Variant, shape: [Int]) throws {
        let inputs = [
            try Tensor.normal(shape, deviation: 2, seed: 1),
            try Tensor.normal([shape[shape.count - 1]], deviation: 1, seed: 2),
        ]
        try expectSame(variant, inputs) {
            [try $0[0].rmsNorm($0[1], epsilon: 1e-5)]
        } plain: {
            [try plainNorm($0[0], $0[1])]
        }
    }

    @Test("a residual, what is added to it, and their norm", arguments: ways, shapes)
    func residual(variant: Variant, shape: [Int]) throws {
        let inputs = [
            try Tensor.normal(shape, deviation: 2, seed: 1), try Tensor.normal(shape, deviation: 1, seed: 2),
            try Tensor.normal([shape[shape.count - 1]], deviation: 1, seed: 3),
        ]
        try expectSame(variant, inputs) {
            let (sum, norm) = try $0[0].adding($0[1], normalisedBy: $0[2], epsilon: 1e-5)
            return [sum, norm]
        } plain: {
            let sum = try $0[0] + $0[1]
            return [sum, try plainNorm(sum, $0[2])]
        }
    }

    @Test("the norm of a sum that is not used further")
    func unusedSum() throws {
        let variant = Self.ways[0]
        let inputs = try [UInt64(1), 2].map { try Tensor.normal([5, 19], deviation: 1, seed: $0) }
        let weight = try Tensor.normal([19], deviation: 1, seed: 3)
        try expectSame(variant, inputs) {
            [try $0[0].adding($0[1], normalisedBy: weight, epsilon: 1e-5).norm]
        } plain: {
            [try plainNorm(try $0[0] + $0[1], weight)]
        }
        try expectSame(variant, inputs) {
            [try $0[0].adding($0[1], normalisedBy: weight, epsilon: 1e-5).sum]
        } plain: {
            [try $0[0] + $0[1]]
        }
    }

    @Test("gates", arguments: ways, shapes)
    func gates(variant: Variant, shape: [Int]) throws {
        let inputs = try [UInt64(1), 2].map { try Tensor.normal(shape, deviation: 3, seed: $0) }
        for gate in [Tensor.Gate.silu, .gelu] {
            try expectSame(variant, inputs) {
                [try $0[0].gated($0[1], by: gate)]
            } plain: {
                let x = $0[0]
                let inner = try gate == .silu ? x : (x + x.power(3) * 0.044715) * 1.5957691216
                return [try x / (try (-inner).exp() + 1) * $0[1]]
            }
        }
    }

    @Test("a gate keeps what is far out", arguments: ways)
    func farGates(variant: Variant) throws {
        Tensor.usePortableKernels(variant.isPortable)
        defer { Tensor.usePortableKernels(false) }
        let far = try Tensor([-1000, -90, 90, 1000, .nan]).to(variant.dtype)
        let one = try Tensor([1, 1, 1, 1, 1]).to(variant.dtype)
        let found = try withGradients { try far.gated(one, by: .silu).floats() }
        #expect(abs(found[0]) < 1e-20 && abs(found[1]) < 1e-20)
        #expect(found[2] == 90 && found[3] == 1000 && found[4].isNaN)
    }

    @Test(
        "turning by angles, part of a head or all of it", arguments: ways,
        [(3, 5, 8, 8), (2, 9, 18, 14), (1, 1, 64, 64)])
    func rotation(variant: Variant, size: (heads: Int, length: Int, width: Int, turned: Int)) throws {
        let (heads, length, width, turned) = size
        // In the order in which projections come.
        let x = try Tensor.normal([1, length, heads, width], deviation: 1, seed: 1)
        let cosine = try Tensor.normal([1, 1, length, turned], deviation: 1, seed: 2).to(variant.dtype)
        let sine = try Tensor.normal([1, 1, length, turned], deviation: 1, seed: 3).to(variant.dtype)
        try expectSame(variant, [x]) {
            [try $0[0].transposed(1, 2).rotated(cosine: cosine, sine: sine)]
        } plain: {
            let x = try $0[0].transposed(1, 2)
            let half = turned / 2
            let (a, b) = (try x.narrowed(3, 0..<half), try x.narrowed(3, half..<turned))
            let other = try Tensor.concatenated([-b, a], axis: 3)
            let result = try x.narrowed(3, 0..<turned) * cosine.to(.float32) + other * sine.to(.float32)
            return [
                turned == width
                    ? result : try Tensor.concatenated([result, x.narrowed(3, turned..<width)], axis: 3)
            ]
        }
    }

    @Test("cross-entropy, with targets at both ends and scores far apart", arguments: ways, [3, 16, 37, 1000])
    func entropy(variant: Variant, width: Int) throws {
        let logits = try Tensor.normal([4, width], deviation: 20, seed: 1)
        let numbers = [0, width - 1, width / 2, 1]
        let targets = try Tensor(integers: numbers)
        try expectSame(variant, [logits]) {
            [try $0[0].crossEntropySum(targets)]
        } plain: {
            [try -$0[0].logSoftmax(axis: 1).gathered(targets.reshaped([4, 1]), axis: 1).sum()]
        }
    }

    @Test("a target outside of the vocabulary is refused")
    func foreignTarget() throws {
        let logits = try Tensor.zeros([1, 8])
        for target in [-1, 8] {
            #expect(throws: TensorError.self) { try logits.crossEntropySum(Tensor(integers: [target])) }
        }
    }

    @Test("dropout drops its share, the same ones for the same seed, forwards and back", arguments: ways)
    func dropout(variant: Variant) throws {
        Tensor.usePortableKernels(variant.isPortable)
        defer { Tensor.usePortableKernels(false) }
        let x = try Tensor.full([100, 1001], 1, dtype: variant.dtype).requireGradient()
        let kept = try x.dropout(0.25, seed: 7)
        try kept.to(.float32).sum().backward()
        let values = try kept.detached().floats()
        #expect(try x.gradient()?.floats() == values)
        #expect(Set(values).count == 2 && values.contains(0))
        let share = Double(values.count { $0 == 0 }) / Double(values.count)
        #expect(abs(share - 0.25) < 0.01)
        // Neighbours are independent: two in a row are dropped as often as chance has it.
        let both = zip(values, values.dropFirst()).count { $0 == 0 && $1 == 0 }
        #expect(abs(Double(both) / Double(values.count) - 0.0625) < 0.005)
        #expect(try x.detached().dropout(0.25, seed: 7).floats() == values)
        #expect(try x.detached().dropout(0.25, seed: 8).floats() != values)
    }

    @Test("what is dropped does not depend on how wide the CPU computes")
    func sameDropout() throws {
        let x = try Tensor.normal([33, 47], deviation: 1, seed: 1)
        Tensor.usePortableKernels(true)
        defer { Tensor.usePortableKernels(false) }
        let portable = try x.dropout(0.3, seed: 5).floats()
        Tensor.usePortableKernels(false)
        #expect(try x.dropout(0.3, seed: 5).floats() == portable)
    }

    @Test(
        "projections with adapters, with dropout and bias and without, products in float32, in their own precision and in blocks",
        arguments: ways, Self.forms)
    func adapted(variant: Variant, form: (dropout: Double, products: Tensor.Products)) throws {
        let dropout = form.dropout
        Tensor.multiplyAdapted(in: form.products)
        defer { Tensor.multiplyAdapted(in: nil) }
        let (rows, width, rank) = (37, 24, 5)
        // The first one is multiplied in several parts.
        let outputs = [8209, 8, 33]
        var inputs = [try Tensor.normal([1, rows, width], deviation: 1, seed: 1)]
        for (number, out) in outputs.enumerated() {
            inputs.append(try Tensor.normal([rank, width], deviation: 0.3, seed: UInt64(10 + number)))
            inputs.append(try Tensor.normal([out, rank], deviation: 0.3, seed: UInt64(20 + number)))
        }
        let weights = try outputs.enumerated().map { number, out in
            try Tensor.normal([out, width], deviation: 0.3, seed: UInt64(30 + number)).to(variant.dtype)
        }
        let bias = try Tensor.normal([outputs[1]], deviation: 1, seed: 40).to(variant.dtype)
        // The middle one has a bias, the last one no adapter.
        try expectSame(variant, inputs) { leaves in
            try leaves[0].adapted(
                outputs.indices.map { index in
                    AdaptedProjection(
                        weight: weights[index], bias: index == 1 ? bias : nil,
                        adapter: index == 2
                            ? nil
                            : .init(
                                down: leaves[1 + 2 * index], up: leaves[2 + 2 * index], scale: 1.5, dropout: dropout,
                                seed: UInt64(index)))
                })
        } plain: { leaves in
            try outputs.indices.map { index in
                let base = try leaves[0].linear(
                    weights[index].to(.float32), bias: index == 1 ? bias.to(.float32) : nil)
                guard index != 2 else { return base }
                let mask = try Tensor.full([1, rows, width], 1).dropout(dropout, seed: UInt64(index))
                let kept = dropout > 0 ? try leaves[0] * mask : leaves[0]
                return try base + kept.linear(leaves[1 + 2 * index]).linear(leaves[2 + 2 * index]) * 1.5
            }
        }
    }
}

/// Products in blocks of whole numbers beside those in float32; where this CPU has no such kernel both are the same.
@Suite("Block floating point", .serialized)
struct BlockFloatTests {
    /// The product of x `[rows, inputs]` and a weight, and the gradient of x under `above`.
    private func product(_ x: [Float], rows: Int, weight: Tensor, above: Tensor, _ products: Tensor.Products) throws
        -> (
            output: [Float], gradient: [Float]
        )
    {
        Tensor.multiplyAdapted(in: products)
        defer { Tensor.multiplyAdapted(in: nil) }
        let leaf = try Tensor(x).reshaped([rows, x.count / rows]).to(.bfloat16).detached().requireGradient()
        let output = try leaf.adapted([AdaptedProjection(weight: weight, bias: nil, adapter: nil)])[0]
        try output.backward(above)
        return (try output.detached().floats(), try leaf.gradient()?.floats() ?? [])
    }

    /// How far numbers are from others, as a part of the others' size.
    private func distance(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Float {
        let errors = zip(a, b).map { ($0 - $1) * ($0 - $1) }.reduce(0, +)
        return (errors / max(b.map { $0 * $0 }.reduce(0, +), 1e-30)).squareRoot()
    }

    @Test(
        "every row is as near to float32's as bfloat16 rounds, whatever its size",
        arguments: [(1, 1, 1), (5, 63, 65), (50, 130, 64), (97, 64, 200), (200, 192, 70)])
    func rows(rows: Int, inputs: Int, outputs: Int) throws {
        // Rows of sizes from 2⁻²⁰ to 2²⁰, and one of zeros.
        var x = try Tensor.normal([rows, inputs], deviation: 1, seed: 1).floats()
        for place in x.indices {
            let row = place / inputs
            x[place] *= row % 5 == 3 ? 0 : Float(sign: .plus, exponent: row % 41 - 20, significand: 1)
        }
        let weight = try Tensor.normal([outputs, inputs], deviation: 0.1, seed: 2).to(.bfloat16)
        let above = try Tensor.normal([rows, outputs], deviation: 1e-4, seed: 3).to(.bfloat16)
        let blocks = try product(x, rows: rows, weight: weight, above: above, .blocks)
        let floats = try product(x, rows: rows, weight: weight, above: above, .float32)
        for row in 0..<rows {
            let (out, width) = (row * outputs..<(row + 1) * outputs, row * inputs..<(row + 1) * inputs)
            #expect(distance(blocks.output[out], floats.output[out]) < 0.006, "row \(row)")
            #expect(distance(blocks.gradient[width], floats.gradient[width]) < 0.006, "gradient of row \(row)")
        }
    }

    @Test("what is not finite spoils its own row alone", arguments: [Float.nan, .infinity, -.infinity])
    func notFinite(value: Float) throws {
        var x = try Tensor.normal([9, 70], deviation: 1, seed: 1).floats()
        x[4 * 70 + 66] = value
        let weight = try Tensor.normal([40, 70], deviation: 1, seed: 2).to(.bfloat16)
        let above = try Tensor.normal([9, 40], deviation: 1, seed: 3).to(.bfloat16)
        let found = try product(x, rows: 9, weight: weight, above: above, .blocks).output
        for row in 0..<9 {
            let values = found[row * 40..<(row + 1) * 40]
            #expect(row == 4 ? values.allSatisfy { !$0.isFinite } : values.allSatisfy(\.isFinite), "row \(row)")
        }
    }
}

@Suite("Compute memory", .serialized)
struct ComputeMemoryTests {
    @Test("what is freed serves again, amounts to little more than was in use at once, and goes back at the end")
    func kept() async throws {
        let megabyte = 1 << 20
        let slack = 128 * megabyte
        try ComputeMemory.kept {
            for size in [8, 5, 8, 3, 130, 13, 110, 1] {
                let (a, b) = (try Tensor.zeros([size * megabyte / 4]), try Tensor.zeros([2 * megabyte / 4]))
                #expect(a.count > b.count || size < 2)
                let report = ComputeMemory.report
                #expect(report.used >= (size + 2) * megabyte)
                #expect(report.used + report.idle <= report.most + slack)
            }
            let after = ComputeMemory.report
            #expect(after.idle > 0)
            #expect(after.used + after.idle <= after.most + slack)
        }
        // Trainings of other tests may keep it for a while yet.
        let end = ContinuousClock.now + .seconds(60)
        while ComputeMemory.report.idle > 0, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
        #expect(ComputeMemory.report.idle == 0)
    }

    @Test("a tensor outlives the end of what kept its memory")
    func outliving() throws {
        let tensor = try ComputeMemory.kept { try Tensor.full([1 << 20], 3) }
        #expect(try tensor.sum().item() == 3 * Float(1 << 20))
        let before = ComputeMemory.report.used
        #expect(before >= 4 << 20)
    }

    @Test("contents are kept apart when memory is used again")
    func contents() throws {
        try ComputeMemory.kept {
            for round in 0..<20 {
                let tensors = try (0..<4).map { try Tensor.full([100_000 + 7000 * $0], Double(round * 10 + $0)) }
                for (number, tensor) in tensors.enumerated() {
                    #expect(try tensor.floats().allSatisfy { $0 == Float(round * 10 + number) })
                }
            }
        }
    }
}
