import RetortTensor
import Testing

@testable import RetortLLM

/// Packed rows in the form of variable-length kernels; the fused kernel itself needs a GPU.
@Suite("Packed sequences")
struct PackedSequencesTests {
    /// Two samples with a common beginning of 3, one of them branching again, and one sample beside.
    private static let tree = [
        RowSegment(length: 3), RowSegment(length: 2, parent: 0), RowSegment(length: 1, parent: 0),
        RowSegment(length: 2, parent: 2), RowSegment(length: 1, parent: 2), RowSegment(length: 4),
    ]

    private static func shape(
        dimension: Int = 16, dtype: DType = .float32, device: Device = .cpu, window: Int? = nil, cap: Double? = nil
    ) -> FusedAttention.Shape {
        FusedAttention.Shape(
            heads: 4, keyHeads: 2, dimension: dimension, dtype: dtype, device: device,
            form: AttentionForm(window: window, cap: cap))
    }

    @Test("a first continuation stays with what it goes on from, others copy it")
    func runs() {
        let runs = PackedSequences.runs(Self.tree, pasts: [])
        #expect(runs.map(\.queries) == [5, 3, 1, 4])
        #expect(runs[0].keys == [0, 1, 2, 3, 4])
        #expect(runs[1].keys == [0, 1, 2, 5, 6, 7])
        #expect(runs[2].keys == [0, 1, 2, 5, 8])
        #expect(runs[3].keys == [9, 10, 11, 12])
    }

    @Test("what was read before stands before the row")
    func pasts() {
        let runs = PackedSequences.runs([RowSegment(length: 2), RowSegment(length: 1)], pasts: [0, 3])
        #expect(runs[0].keys == [3, 4])
        #expect(runs[1].keys == [0, 1, 2, 5])
    }

    @Test("attention is that of the segments one by one", arguments: [nil, 2], [nil, 5.0])
    func equal(window: Int?, cap: Double?) throws {
        let length = Self.tree.reduce(0) { $0 + $1.length }
        let form = AttentionForm(window: window, cap: cap)
        func results(_ method: PackedAttention.Method) throws -> [[Float]] {
            let inputs = try [(4, 1), (2, 2), (2, 3)].map { heads, seed in
                try Tensor.normal([1, heads, length, 16], deviation: 1, seed: UInt64(seed)).requireGradient()
            }
            let output = try PackedAttention(tree: Self.tree, method: method)
                .attend(layer: 0, query: inputs[0], key: inputs[1], value: inputs[2], form: form)
            try (output * Tensor.normal(output.shape, deviation: 1, seed: 4)).sum().backward()
            return try [output.detached().floats()] + inputs.map { try $0.gradient()?.floats() ?? [] }
        }
        for (a, b) in zip(try results(.fastest), try results(.sequences)) {
            #expect(a.count == b.count && !a.isEmpty)
            #expect((zip(a, b).map { abs($0 - $1) }.max() ?? 1) < 1e-5)
        }
    }

    @Test("prompts whose beginnings are cached attend to them")
    func read() throws {
        func past(_ length: Int, seed: UInt64) throws -> PackedAttention.Past {
            // Longer than what is used of it, as entries of the cache may be.
            PackedAttention.Past(
                length: length,
                layers: [
                    0: (
                        try Tensor.normal([1, 2, length + 3, 16], deviation: 1, seed: seed),
                        try Tensor.normal([1, 2, length + 3, 16], deviation: 1, seed: seed + 1)
                    )
                ])
        }
        let pasts = [nil, try past(4, seed: 10), try past(2, seed: 20)]
        let inputs = try [(4, 1), (2, 2), (2, 3)].map { heads, seed in
            try Tensor.normal([1, heads, 9, 16], deviation: 1, seed: UInt64(seed))
        }
        func output(_ method: PackedAttention.Method) throws -> [Float] {
            try PackedAttention(segments: [3, 5, 1], pasts: pasts, method: method, keep: nil)
                .attend(layer: 0, query: inputs[0], key: inputs[1], value: inputs[2], form: AttentionForm()).floats()
        }
        let difference = zip(try output(.fastest), try output(.sequences)).map { abs($0 - $1) }.max()
        #expect(try #require(difference) < 1e-5)
    }

    @Test("gradients of a row's copies are summed in full precision")
    func copies() throws {
        let x = try Tensor.full([2, 1], 1, dtype: .bfloat16).requireGradient()
        let indices = try Tensor(integers: Array(repeating: 0, count: 1001) + [1])
        try x.repeatingRows(indices).to(.float32).sum().backward()
        // 1,001 ones in bfloat16 would stop at 256.
        #expect(try x.gradient()?.floats() == [1000, 1])
    }

    @Test("a kernel that does what it should passes its trial", arguments: [nil, 100])
    func passes(window: Int?) throws {
        for dtype in [DType.float32, .bfloat16] {
            #expect(FusedAttention.trial(Self.shape(dtype: dtype, window: window), PackedSequences.plain) == nil)
        }
    }

    @Test("a kernel that masks otherwise, gives no numbers or is not there fails its trial")
    func fails() throws {
        let unwindowed = FusedAttention.trial(Self.shape(window: 8)) { query, key, value, layout, _ in
            try PackedSequences.plain(query, key, value, layout, AttentionForm())
        }
        guard case .inexact(of: "output", _) = unwindowed else { return #expect(Bool(false), "\(unwindowed as Any)") }
        let undefined = FusedAttention.trial(Self.shape()) { query, key, value, layout, form in
            try PackedSequences.plain(query, key, value, layout, form) * .nan
        }
        #expect(undefined == .inexact(of: "output", by: .infinity))
        // Detached from the values, it would train half of the network.
        let cut = FusedAttention.trial(Self.shape()) { query, key, value, layout, form in
            try PackedSequences.plain(query, key, value.detached(), layout, form)
        }
        #expect(cut == .inexact(of: "gradient of the value", by: .infinity))
        let absent = FusedAttention.trial(Self.shape(), PackedSequences.fused)
        guard case .failed(let message) = absent else { return #expect(Bool(false), "\(absent as Any)") }
        #expect(message.contains("_flash_attention_forward"))
    }

    @Test("what the fused kernel does not do is refused by name")
    func refused() {
        func refusal(_ shape: FusedAttention.Shape) -> FusedAttention.Refusal? { FusedAttention.refusal(of: shape) }
        #expect(refusal(Self.shape(dtype: .bfloat16)) == .device)
        #expect(refusal(Self.shape(dtype: .float32, device: .cuda)) == .dtype(.float32))
        #expect(refusal(Self.shape(dimension: 320, dtype: .bfloat16, device: .cuda)) == .headDimension(320))
        #expect(refusal(Self.shape(dimension: 36, dtype: .bfloat16, device: .cuda)) == .headDimension(36))
        #expect(refusal(Self.shape(dtype: .bfloat16, device: .cuda, cap: 50)) == .cappedScores)
        #expect(refusal(Self.shape(dtype: .float16, device: .cuda, window: 4096)) == nil)
        #expect("\(FusedAttention.Refusal.cappedScores)".contains("soft cap"))
    }
}
