import RetortTensor
import Testing

/// Products with weights in few bits; float32 products are the oracle. Where the processor lacks the instructions of our kernels, these
/// tests hold libtorch's to the same.
@Suite("Weights in few bits")
struct PackedWeightTests {
    /// Rows, inputs, outputs: each height of a tile, more rows than a tile, each number of blocks side by side.
    static let shapes =
        (1...9).map { ($0, 64, 48) } + [(16, 96, 16), (17, 64, 32), (3, 4096, 16), (8, 896, 208), (1, 32, 144)]

    @Test("a product with weights in bytes is that of float32", arguments: shapes)
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
        arguments: shapes + [(2, 160, 16), (1, 896, 64)])
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

    @Test("what is no number stays so in products", arguments: PackedWeight.Bits.allCases)
    func productOfNaN(bits: PackedWeight.Bits) throws {
        let x = try Tensor([.nan] + Array(repeating: 1, count: 63), shape: [1, 64]).to(.bfloat16)
        let packed = try #require(try PackedWeight(Tensor.normal([16, 64], deviation: 1, seed: 1), bits: bits))
        #expect(try withoutGradients { try packed.linear(x) }.floats().allSatisfy(\.isNaN))
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

    @Test("what a weight takes is told beforehand", arguments: PackedWeight.Bits.allCases)
    func bytes(bits: PackedWeight.Bits) throws {
        let packed = try PackedWeight(Tensor.normal([48, 96], deviation: 1, seed: 4), bits: bits)
        #expect(packed?.bytes == PackedWeight.bytes([48, 96], bits: bits))
        #expect(PackedWeight.bytes([48, 100], bits: bits) == nil && PackedWeight.bytes([50, 96], bits: bits) == nil)
        let count = 48 * 96
        switch bits {
        case .bfloat16: #expect(packed?.bytes == (PackedWeight.hasKernels ? 2 * count : nil))
        case .int8: #expect(packed?.bytes == count + 48 * 2)
        case .int4: #expect(packed?.bytes == count / 2 + count / 32 * 4)
        }
    }
}
