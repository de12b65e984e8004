import RetortTensor
import Testing

/// Products with weights in blocks, which float32 products are the oracle of. Where the processor lacks the instructions, there are
/// none.
@Suite("Weights in blocks", .enabled(if: PackedWeight.hasKernels))
struct BlockedProductsTests {
    /// Rows, inputs, outputs: each height of a tile and more, each number of blocks side by side.
    static let shapes =
        (1...14).map { ($0, 64, 208) }
        + [(1, 96, 16), (2, 32, 144), (33, 1536, 48), (65, 4096, 80), (531, 64, 80)]

    private func inputs(_ rows: Int, _ inputs: Int, _ outputs: Int) throws -> (x: Tensor, weight: Tensor, bias: Tensor)
    {
        (
            try Tensor.normal([rows, inputs], deviation: 1, seed: 1).to(.bfloat16),
            try Tensor.normal([outputs, inputs], deviation: 1, seed: 2).to(.bfloat16),
            try Tensor.normal([outputs], deviation: 5, seed: 3).to(.bfloat16)
        )
    }

    @Test("a product is that of float32", arguments: shapes)
    func products(rows: Int, inputs: Int, outputs: Int) throws {
        let (x, weight, bias) = try self.inputs(rows, inputs, outputs)
        let packed = try #require(try PackedWeight(weight, bits: .bfloat16))
        let exact = try x.to(.float32).linear(weight.to(.float32), bias: bias.to(.float32))
        try expectClose(withoutGradients { try packed.linear(x, bias: bias) }, exact, within: 0.005)
    }

    @Test("and it is where the CPU has no registers for whole tiles", arguments: shapes)
    func vectors(rows: Int, inputs: Int, outputs: Int) throws {
        try Tensor.withoutMatrixRegisters { try products(rows: rows, inputs: inputs, outputs: outputs) }
    }

    @Test("bytes' products are the same to the bit with registers for whole tiles and without", arguments: shapes)
    func bytes(rows: Int, inputs: Int, outputs: Int) throws {
        let (x, weight, bias) = try self.inputs(rows, inputs, outputs)
        // The largest sums that there are.
        let (x1, weight1) = try (
            Tensor.full([rows, inputs], 1, dtype: .bfloat16), Tensor.full([outputs, inputs], 1)
        )
        for (x, weight) in [(x, weight), (x1, weight1)] {
            let packed = try #require(try PackedWeight(weight, bits: .int8))
            let others = try Tensor.withoutMatrixRegisters { try PackedWeight(weight, bits: .int8) }
            let other = try #require(others)
            try withoutGradients {
                let sums = try packed.linear(x, bias: bias).bytes()
                #expect(try sums == other.linear(x, bias: bias).bytes())
            }
        }
    }

    @Test("a row's product is the same to the bit among any others", arguments: PackedWeight.Bits.allCases)
    func independent(bits: PackedWeight.Bits) throws {
        let (x, weight, bias) = try inputs(41, 576, 208)
        let packed = try #require(try PackedWeight(weight, bits: bits))
        try withoutGradients {
            let together = try packed.linear(x, bias: bias)
            for (first, count) in [(0, 1), (1, 2), (3, 3), (6, 4), (10, 5), (15, 6), (21, 7), (28, 13)] {
                let rows = first..<first + count
                let alone = try packed.linear(x.narrowed(0, rows), bias: bias)
                #expect(try alone.bytes() == together.narrowed(0, rows).bytes())
            }
        }
    }

    @Test("rows are looked up as they were laid out")
    func table() throws {
        let (_, weight, _) = try inputs(1, 64, 208)
        let packed = try #require(try PackedWeight(weight, bits: .bfloat16))
        let table = try #require(packed.table)
        let wanted = try Tensor(integers: [0, 207, 16, 15, 100, 100], shape: [2, 3])
        #expect(try table.embedding(wanted).shape == [2, 3, 64])
        #expect(try table.embedding(wanted).bytes() == weight.embedding(wanted).bytes())
        for stranger in [-1, 208] {
            #expect(throws: TensorError.self) { try table.embedding(Tensor(integers: [stranger])) }
        }
    }

    @Test("what does not fit is refused")
    func refused() throws {
        let (_, weight, _) = try inputs(1, 64, 208)
        let packed = try #require(try PackedWeight(weight, bits: .bfloat16))
        try withoutGradients {
            #expect(throws: TensorError.self) { try packed.linear(Tensor.zeros([1, 96], dtype: .bfloat16)) }
            #expect(throws: TensorError.self) {
                try packed.linear(Tensor.zeros([1, 64], dtype: .bfloat16), bias: Tensor.zeros([16], dtype: .bfloat16))
            }
        }
        #expect(throws: TensorError.self) { try packed.linear(Tensor.zeros([1, 64], dtype: .bfloat16)) }
        #expect(try PackedWeight(Tensor.zeros([17, 64]), bits: .bfloat16) == nil)
        #expect(try PackedWeight(Tensor.zeros([16, 33]), bits: .bfloat16) == nil)
    }
}
