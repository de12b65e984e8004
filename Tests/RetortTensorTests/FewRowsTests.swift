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
        let whole = try (0..<outputs * inputs).map { Float($0 % inputs == 0 ? 127 : ($0 &* 7919) % 255 - 127) }
        let weight = try Tensor(whole, shape: [outputs, inputs])
        let packed = try #require(try PackedWeight(weight, bits: .int8))
        let exact = try x.to(.float32).linear(weight, bias: bias.to(.float32))
        try expectClose(withoutGradients { try packed.linear(x, bias: bias) }, exact, within: 0.005)
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

    /// - Parameter limit: the largest difference, as a share of the largest value.
    private func expectClose(_ result: Tensor, _ exact: Tensor, within limit: Float) throws {
        #expect(result.shape == exact.shape)
        let (ours, theirs) = (try result.floats(), try exact.floats())
        let largest = theirs.reduce(0) { max($0, abs($1)) }
        for (a, b) in zip(ours, theirs) { #expect(abs(a - b) <= limit * largest) }
    }
}
