import RetortTensor
import Testing

@testable import RetortLLM

/// Attention over packed rows in one pass has to be that of each sample alone: plain products in float32 are the oracle. Where
/// the CPU lacks the instructions, the way that serves there is held to the same.
@Suite("Attention over a row")
struct TreeAttentionTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let segments: [RowSegment]
        var testDescription: String { name }
    }

    static let rows = [
        Row(name: "one token", segments: [RowSegment(length: 1)]),
        Row(name: "one sample, longer than a tile", segments: [RowSegment(length: 131)]),
        Row(name: "several samples", segments: [5, 64, 17, 65].map { RowSegment(length: $0) }),
        Row(
            name: "a tree",
            segments: [
                RowSegment(length: 70), RowSegment(length: 5, parent: 0), RowSegment(length: 33, parent: 0),
                RowSegment(length: 3, parent: 2), RowSegment(length: 66, parent: 2), RowSegment(length: 6),
                RowSegment(length: 1, parent: 5),
            ]),
        Row(
            name: "a beginning for many",
            segments: [RowSegment(length: 129)] + (0..<9).map { RowSegment(length: 20 + $0, parent: 0) }),
    ]

    struct Heads: Sendable {
        let queries, keys, width: Int
    }

    static let heads = [
        Heads(queries: 3, keys: 1, width: 64), Heads(queries: 4, keys: 2, width: 16),
        Heads(queries: 2, keys: 2, width: 80), Heads(queries: 1, keys: 1, width: 256),
    ]

    @Test("gives the outputs and gradients of plain products", arguments: rows, heads)
    func plain(row: Row, heads: Heads) throws { try compare(row, heads, window: nil) }

    @Test("also within a window", arguments: rows, [1, 7, 64, 100])
    func window(row: Row, window: Int) throws { try compare(row, Self.heads[1], window: window) }

    @Test("and so it does where the CPU has no registers for whole tiles", arguments: rows, heads)
    func vectors(row: Row, heads: Heads) throws {
        try Tensor.withoutMatrixRegisters { try compare(row, heads, window: nil) }
    }

    private func compare(_ row: Row, _ heads: Heads, window: Int?) throws {
        let form = AttentionForm(window: window)
        let found = try results(row, heads, form, .bfloat16, .fastest)
        let expected = try results(row, heads, form, .float32, .sequences)
        for (part, (a, b)) in zip(["output", "query", "key", "value"], zip(found, expected)) {
            let largest = max(b.map(abs).max() ?? 0, 1e-2)
            let error = zip(a, b).map { abs($0 - $1) }.max() ?? 0
            #expect(a.count == b.count && a.allSatisfy(\.isFinite), "\(part)")
            #expect(error < 0.02 * largest, "\(part) is off by \(error) of \(largest)")
        }
    }

    /// The output and the gradients of query, key and value, which lie in the order in which projections make them.
    private func results(
        _ row: Row, _ heads: Heads, _ form: AttentionForm, _ dtype: DType, _ method: PackedAttention.Method
    ) throws -> [[Float]] {
        let length = row.segments.reduce(0) { $0 + $1.length }
        func drawn(_ count: Int, _ seed: UInt64) throws -> Tensor {
            try Tensor.normal([1, length, count, heads.width], deviation: 1, seed: seed).to(.bfloat16).to(dtype)
        }
        let inputs = try [
            drawn(heads.queries, 1).requireGradient(), drawn(heads.keys, 2).requireGradient(),
            drawn(heads.keys, 3).requireGradient(),
        ]
        let parts = try inputs.map { try $0.transposed(1, 2) }
        let output = try PackedAttention(tree: row.segments, method: method)
            .attend(layer: 0, query: parts[0], key: parts[1], value: parts[2], form: form)
        let weights = try drawn(heads.queries, 4).to(.float32).transposed(1, 2)
        try (output.to(.float32) * weights).sum().backward()
        return try [output.detached().floats()] + inputs.map { try $0.gradient()?.floats() ?? [] }
    }
}
