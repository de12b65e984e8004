import RetortTensor
import Testing

/// What a decoding step does between its products has code of its own; libtorch's float32 results are the oracle. Where the
/// processor lacks its instructions, these tests hold libtorch's own kernels to the same.
@Suite("Few rows")
struct FewRowsTests {
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
