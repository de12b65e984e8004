import RetortTensor
import Testing

/// The chains and products of a decoding step have code of their own; libtorch's float32 results are the oracle. Where the
/// processor lacks their instructions, these tests hold libtorch's own kernels to the same.
@Suite("Few rows")
struct FewRowsTests {
    /// Rows, inputs, outputs: each width of a tile, more rows than a tile, more than the kernel takes, ragged ends.
    static let shapes =
        (1...9).map { ($0, 64, 37) } + [(16, 96, 16), (17, 64, 32), (3, 4096, 5), (8, 896, 200), (1, 32, 1)]

    @Test("a product of few rows is that of float32", arguments: shapes)
    func products(rows: Int, inputs: Int, outputs: Int) throws {
        let x = try Tensor.normal([rows, inputs], deviation: 1, seed: 1).to(.bfloat16)
        let weight = try Tensor.normal([outputs, inputs], deviation: 1, seed: 2).to(.bfloat16)
        let bias = try Tensor.normal([outputs], deviation: 5, seed: 3).to(.bfloat16)
        let exact = try x.to(.float32).linear(weight.to(.float32), bias: bias.to(.float32))
        try expectClose(withoutGradients { try x.linear(weight, bias: bias) }, exact, within: 0.005)
    }

    @Test("so is one with weights in bytes", arguments: shapes.filter { $0.2 % 16 == 0 })
    func bytes(rows: Int, inputs: Int, outputs: Int) throws {
        let x = try Tensor.normal([rows, inputs], deviation: 1, seed: 1).to(.bfloat16)
        let bias = try Tensor.normal([outputs], deviation: 5, seed: 3).to(.bfloat16)
        // Whole numbers up to 127 that reach 127 in every row are what they are packed to.
        let whole = (0..<outputs * inputs).map { Float($0 % inputs == 0 ? 127 : ($0 &* 7919) % 255 - 127) }
        let weight = try Tensor(whole, shape: [outputs, inputs])
        let packed = try #require(try PackedWeight(weight, bits: .int8))
        let exact = try x.to(.float32).linear(weight, bias: bias.to(.float32))
        try expectClose(withoutGradients { try packed.linear(x, bias: bias) }, exact, within: 0.005)
    }

    @Test(
        "and one with weights in half bytes",
        arguments: shapes.filter { $0.2 % 16 == 0 } + [(2, 160, 16), (1, 896, 64)])
    func halfBytes(rows: Int, inputs: Int, outputs: Int) throws {
        let x = try Tensor.normal([rows, inputs], deviation: 1, seed: 1).to(.bfloat16)
        let bias = try Tensor.normal([outputs], deviation: 5, seed: 3).to(.bfloat16)
        // Each group of 32 holds whole numbers from −8, −16, … over a range of 15, 30, …: they are what they are packed to.
        let whole = (0..<outputs * inputs).map { place in
            let size = Float(1 << (place / 32 % 3))
            let number = place % 32 < 2 ? place % 2 * 15 : (place &* 7919) % 16
            return size * (Float(number) - 8)
        }
        let weight = try Tensor(whole, shape: [outputs, inputs])
        let packed = try #require(try PackedWeight(weight, bits: .int4))
        let exact = try x.to(.float32).linear(weight, bias: bias.to(.float32))
        try expectClose(withoutGradients { try packed.linear(x, bias: bias) }, exact, within: 0.005)
    }

    @Test("several products of one input are those of each alone", arguments: [1, 3, 17])
    func severalProducts(rows: Int) throws {
        let x = try Tensor.normal([rows, 64], deviation: 1, seed: 1).to(.bfloat16)
        let weights = try [(48, UInt64(2)), (16, 3), (32, 4)].map { outputs, seed in
            try Tensor.normal([outputs, 64], deviation: 1, seed: seed).to(.bfloat16)
        }
        let bias = try Tensor.normal([16], deviation: 5, seed: 5).to(.bfloat16)
        let packed = try #require(try PackedWeight(weights[0], bits: .int8))
        try withoutGradients {
            let whole: [Tensor.Projection] = [(weights[0], nil, nil), (weights[1], nil, bias), (weights[2], nil, nil)]
            let mixed = [packed.projection(bias: nil), whole[1]]
            let halved = try #require(try PackedWeight(weights[2], bits: .int4)).projection(bias: nil)
            for projections in [whole, mixed, [mixed[0], mixed[0]], [halved, halved], [halved, whole[2]]] {
                let together = try x.linears(projections)
                let alone = try projections.map { try x.linears([$0])[0] }
                #expect(try together.map { try $0.floats() } == alone.map { try $0.floats() })
                #expect(
                    together.map(\.shape)
                        == projections.map {
                            [rows, $0.weight.rank == 4 ? $0.weight.shape[0] * 16 : $0.weight.shape[0]]
                        })
            }
            #expect(try x.linears([whole[1]])[0].floats() == x.linear(weights[1], bias: bias).floats())
        }
    }

    @Test("a product with a matrix of other extents is an error")
    func mismatch() throws {
        let x = try Tensor.zeros([1, 64], dtype: .bfloat16)
        let weight = try Tensor.zeros([16, 32], dtype: .bfloat16)
        #expect(throws: TensorError.self) { try x.linears([(weight, nil, nil), (weight, nil, nil)]) }
        for bits in PackedWeight.Bits.allCases {
            let packed = try #require(try PackedWeight(Tensor.normal([16, 128], deviation: 1, seed: 1), bits: bits))
            for (rows, inputs) in [(1, 96), (1, 100), (17, 96), (17, 512)] {
                let x = try Tensor.zeros([rows, inputs], dtype: .bfloat16)
                #expect(throws: TensorError.self) { try withoutGradients { try packed.linear(x) } }
            }
        }
        let whole = try Tensor.zeros([16, 64], dtype: .bfloat16)
        let short = try Tensor.zeros([8], dtype: .bfloat16)
        #expect(throws: TensorError.self) { try withoutGradients { try x.linear(whole, bias: short) } }
    }

    /// Key heads, query heads of each, elements, keys; the mask hides what each row must not see.
    static let attentions = [(2, 7, 64, 75), (1, 1, 32, 1), (2, 4, 128, 16), (3, 5, 96, 200), (1, 2, 80, 33)]

    @Test("attention of one token a row is that of float32", arguments: attentions)
    func attention(keyHeads: Int, group: Int, dimension: Int, keys: Int) throws {
        let rows = 3
        func heads(_ length: Int, _ width: Int, _ seed: UInt64) throws -> Tensor {
            try Tensor.normal([rows, length, width, dimension], deviation: 1, seed: seed).to(.bfloat16)
        }
        let query = try heads(keyHeads, group, 1)
        // As a cache holds them: a token's heads beside each other, and room behind.
        let (key, value) = (
            try heads(keys + 5, keyHeads, 2).narrowed(1, 0..<keys).transposed(1, 2),
            try heads(keys + 5, keyHeads, 3).narrowed(1, 0..<keys).transposed(1, 2)
        )
        // One row sees all, one a window, one a single key.
        let visible = [0..<keys, keys / 3..<(2 * keys + 2) / 3, keys - 1..<keys]
        let mask = try Tensor(
            visible.flatMap { seen in (0..<keys).map { seen.contains($0) ? 0 : -Float.infinity } },
            shape: [rows, 1, 1, keys])
        let exact = try Tensor.attention(
            query.to(.float32), key.to(.float32), value.to(.float32), mask: .additive(mask))
        let result = try withoutGradients {
            try Tensor.attention(query, key, value, mask: .additive(mask.to(.bfloat16)))
        }
        try expectClose(result, exact, within: 0.01)
    }

    @Test("what is no number stays visible behind attention, and where nothing is seen it is zero")
    func attentionOfNaN() throws {
        let query = try Tensor.full([1, 1, 1, 32], .nan, dtype: .bfloat16)
        let key = try Tensor.normal([1, 1, 20, 32], deviation: 1, seed: 1).to(.bfloat16)
        let mask = try Tensor.zeros([1, 1, 1, 20], dtype: .bfloat16)
        let result = try withoutGradients { try Tensor.attention(query, key, key, mask: .additive(mask)) }
        #expect(try result.floats().allSatisfy(\.isNaN))
        let hidden = try Tensor.full([1, 1, 1, 20], -.infinity, dtype: .bfloat16)
        let none = try withoutGradients {
            try Tensor.attention(key.narrowed(2, 0..<1), key, key, mask: .additive(hidden))
        }
        #expect(try none.floats().allSatisfy { $0 == 0 })
    }

    @Test("nor does it vanish in products", arguments: PackedWeight.Bits.allCases)
    func productOfNaN(bits: PackedWeight.Bits) throws {
        let x = try Tensor([.nan] + Array(repeating: 1, count: 63), shape: [1, 64]).to(.bfloat16)
        let packed = try #require(try PackedWeight(Tensor.normal([16, 64], deviation: 1, seed: 1), bits: bits))
        #expect(try withoutGradients { try packed.linear(x) }.floats().allSatisfy(\.isNaN))
    }

    @Test("the gate is that of float32, far out as well", arguments: [Tensor.Gate.silu, .gelu])
    func gate(gate: Tensor.Gate) throws {
        let values = (0..<200).map { Float($0 - 100) / 7 } + [-200, 200, -3e38, 3e38, 0]
        let x = try Tensor(values).to(.bfloat16)
        let other = try Tensor.normal([values.count], deviation: 1, seed: 1).to(.bfloat16)
        let exact = try x.to(.float32).gated(other.to(.float32), by: gate)
        let result = try withoutGradients { try x.gated(other, by: gate) }
        for (ours, theirs) in zip(try result.floats(), try exact.floats()) {
            #expect(abs(ours - theirs) <= 0.005 * abs(theirs) + 1e-6)
        }
    }

    @Test("the place of the largest is the first of equals, whatever the signs")
    func largest() throws {
        let rows: [[Float]] = [
            [-3, -1, -1, -2], [-0.0, 0, -1, 0], [1, 5, 5, 2], [-.infinity, -3e38, -.infinity, -3e38],
            [0, .infinity, 1, .infinity], [1, -.nan, 2, .nan],
        ]
        let x = try Tensor(rows.flatMap(\.self), shape: [rows.count, 4])
        let expected = try x.argmax(axis: -1).integers()
        #expect(try withoutGradients { try x.to(.bfloat16).argmax(axis: -1).integers() } == expected)
        let wide = try Tensor.normal([3, 10_007], deviation: 1, seed: 9).to(.bfloat16)
        let found = try withoutGradients { try wide.argmax(axis: -1).integers() }
        let (values, places) = (try wide.floats(), found.enumerated().map { $0 * 10_007 + $1 })
        for (row, place) in places.enumerated() {
            let mine = values[row * 10_007..<(row + 1) * 10_007]
            #expect(mine.firstIndex(of: mine.max() ?? 0) == place)
        }
    }

    @Test("sums of whole numbers do not overflow, however many inputs there are")
    func overflow() throws {
        let inputs = 65536
        let x = try Tensor(Array(repeating: 3, count: inputs), shape: [1, inputs]).to(.bfloat16)
        let weight = try Tensor(Array(repeating: 127, count: 16 * inputs), shape: [16, inputs])
        let packed = try #require(try PackedWeight(weight, bits: .int8))
        let products = try withoutGradients { try packed.linear(x) }.floats()
        for product in products { #expect(abs(product / Float(3 * 127 * inputs) - 1) < 0.01) }
    }

    @Test("an input of zeros gives the bias")
    func zeros() throws {
        let packed = try #require(try PackedWeight(Tensor.normal([16, 32], deviation: 1, seed: 4), bits: .int8))
        let bias = try Tensor(Array(repeating: 2, count: 16)).to(.bfloat16)
        let x = try Tensor.zeros([1, 32], dtype: .bfloat16)
        #expect(try withoutGradients { try packed.linear(x, bias: bias) }.floats() == Array(repeating: 2, count: 16))
    }

    @Test("a norm is that of float32", arguments: [[1, 1, 896], [8, 1, 33], [2, 3, 1, 64]])
    func norms(shape: [Int]) throws {
        let x = try Tensor.normal(shape, deviation: 3, seed: 5).to(.bfloat16)
        let weight = try Tensor.normal([shape[shape.count - 1]], deviation: 1, seed: 6).to(.bfloat16)
        let exact = try x.to(.float32).rmsNorm(weight.to(.float32), epsilon: 1e-6)
        try expectClose(withoutGradients { try x.rmsNorm(weight, epsilon: 1e-6) }, exact, within: 0.005)
    }

    @Test("turning by positions is that of float32, and leaves what lies beyond the turned part", arguments: [16, 12])
    func rotation(turned: Int) throws {
        let x = try Tensor.normal([3, 1, 2 * 16], deviation: 1, seed: 7).to(.bfloat16)
            .reshaped([3, 1, 2, 16]).transposed(1, 2)
        let angles = try Tensor.normal([3, 1, 1, turned], deviation: 2, seed: 8)
        let (cosine, sine) = (try angles.cos().to(.bfloat16), try angles.sin().to(.bfloat16))
        let exact = try x.to(.float32).rotated(cosine: cosine.to(.float32), sine: sine.to(.float32))
        try expectClose(withoutGradients { try x.rotated(cosine: cosine, sine: sine) }, exact, within: 0.005)
    }

    @Test("rows are put where they belong, and a place that does not exist is refused")
    func places() throws {
        let cache = try Tensor.zeros([2, 3, 2])
        let rows = try Tensor(integers: [1, 0])
        try cache.put(rows: rows, columns: Tensor(integers: [2, 1]), Tensor([1, 2, 3, 4], shape: [2, 2]))
        #expect(try cache.floats() == [0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 1, 2])
        #expect(throws: TensorError.self) {
            try cache.put(rows: rows, columns: Tensor(integers: [3, 1]), Tensor([1, 2, 3, 4], shape: [2, 2]))
        }
    }
}
