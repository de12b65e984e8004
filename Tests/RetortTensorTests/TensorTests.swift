import Foundation
import RetortTensor
import Testing

@Suite("Tensors")
struct TensorTests {
    @Test("a tensor gives back what it was made of")
    func roundTrip() throws {
        let tensor = try Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
        #expect(tensor.shape == [2, 3])
        #expect(try tensor.floats() == [1, 2, 3, 4, 5, 6])
        #expect(try tensor.transposed(0, 1).floats() == [1, 4, 2, 5, 3, 6])
        #expect(try Tensor(bytes: tensor.bytes(), shape: [6], dtype: .float32).floats() == tensor.floats())
    }

    @Test("bfloat16 keeps eight bits of precision")
    func bfloat16() throws {
        let rounded = try Tensor([1.001, 300.7]).to(.bfloat16)
        #expect(rounded.dtype == .bfloat16)
        #expect(try rounded.floats() == [1, 300])
        #expect(try rounded.bytes().count == 4)
    }

    @Test("libtorch's message reaches Swift as an error")
    func errorMessage() throws {
        let a = try Tensor.zeros([2, 3])
        let error = #expect(throws: TensorError.self) { try a.matmul(a) }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("2x3"))
    }

    @Test("too few bytes are refused before libtorch reads past their end")
    func shortBytes() {
        #expect(throws: TensorError.wrongByteCount(expected: 16, found: 4, shape: [4])) {
            try Tensor(bytes: Data(count: 4), shape: [4], dtype: .float32)
        }
    }

    @Test("gradients follow the chain rule")
    func gradients() throws {
        // snippet: Gradients
        let x = try Tensor([2, -3]).requireGradient()
        try (x * x * x).sum().backward()
        #expect(try x.gradient()?.floats() == [12, 27])
        // end snippet
        x.clearGradient()
        #expect(try x.gradient() == nil)
    }

    @Test("nothing is recorded inside withoutGradients")
    func unrecorded() throws {
        let x = try Tensor([2]).requireGradient()
        let y = try withoutGradients { try x * x }
        #expect(!y.requiresGradient)
        #expect(try (x * x).requiresGradient)
    }

    @Test("causal attention of the first query sees the first key only")
    func causalAttention() throws {
        let q = try Tensor.normal([1, 2, 3, 4], deviation: 1, seed: 1)
        let v = try Tensor.normal([1, 2, 3, 4], deviation: 1, seed: 2)
        let out = try Tensor.attention(q, q, v, mask: .causal)
        #expect(try out.narrowed(2, 0..<1).floats() == v.narrowed(2, 0..<1).floats())
    }

    @Test("attention in blocks is causal attention, gradients included", arguments: [(700, 0), (40, 600), (513, 512)])
    func attentionInBlocks(length: Int, past: Int) throws {
        let inputs = try [[1, 4, length, 16], [1, 2, past + length, 16], [1, 2, past + length, 16]].enumerated().map {
            try Tensor.normal($1, deviation: 1, seed: UInt64($0))
        }
        func run(_ attend: (Tensor, Tensor, Tensor) throws -> Tensor) throws -> [[Float]] {
            let copies = try inputs.map { try $0.detached() }
            for copy in copies { try copy.requireGradient() }
            let output = try attend(copies[0], copies[1], copies[2])
            try (output * output).sum().backward()
            return try [output.floats()] + copies.map { try #require(try $0.gradient()).floats() }
        }
        let blocks = try run(Tensor.causalAttentionInBlocks)
        let whole = try run { query, key, value in
            // Each key head serves two query heads; a row of the mask for each query.
            let (keys, values) = try (twice(key), twice(value))
            let mask = (0..<length).flatMap { row in
                (0..<past + length).map { $0 <= past + row ? Float(0) : -.infinity }
            }
            return try Tensor.attention(
                query, keys, values, mask: .additive(Tensor(mask, shape: [1, 1, length, past + length])))
        }
        for (ours, theirs) in zip(blocks, whole) {
            let largest = theirs.reduce(0) { max($0, abs($1)) }
            #expect(zip(ours, theirs).allSatisfy { abs($0 - $1) <= 1e-5 * largest })
        }
    }

    private func twice(_ x: Tensor) throws -> Tensor {
        try Tensor.concatenated([0, 0, 1, 1].map { try x.narrowed(1, $0..<$0 + 1) }, axis: 1)
    }

    @Test("the same seed gives the same weights")
    func seeded() throws {
        let a = try Tensor.normal([5], deviation: 1, seed: 7).floats()
        #expect(try a == Tensor.normal([5], deviation: 1, seed: 7).floats())
        #expect(try a != Tensor.normal([5], deviation: 1, seed: 8).floats())
    }

    @Test("one AdamW step moves each weight by about the learning rate against its gradient")
    func adamW() throws {
        let weight = try Tensor([1, 1])
        let state = try AdamWState(weight)
        try adamWStep([state], gradients: [try Tensor([0.5, -4])], step: 1, rate: 0.1)
        let moved = try weight.floats()
        #expect(abs(moved[0] - 0.9) < 1e-5)
        #expect(abs(moved[1] - 1.1) < 1e-5)
    }

    @Test("the norm is taken over all tensors together")
    func norm() throws {
        #expect(abs(try Tensor.norm([try Tensor([3]), try Tensor([4])]) - 5) < 1e-6)
    }
}
