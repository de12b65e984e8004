import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

@testable import RetortTraining

@Suite("Rows divided among processes")
struct RowPartTests {
    private static let shape = DecoderConfiguration.qwen2(
        vocabularySize: 64, hiddenSize: 16, intermediateSize: 24, layerCount: 2, headCount: 2, keyValueHeadCount: 1,
        maximumPositions: 64)

    private func words(_ count: Int, _ generator: inout SeededGenerator) -> [Int32] {
        (0..<count).map { _ in Int32.random(in: 1..<64, using: &generator) }
    }

    /// Families that begin alike, with plain, weighted, drawn and taught samples.
    private func examples(families: Int = 5, preferring: Bool = false) -> [TrainingExample] {
        var generator = SeededGenerator(seed: 4)
        return (0..<families).flatMap { family in
            let start = words(20, &generator)
            return (0..<3).map { number in
                let tokens = start + words(6 + number, &generator)
                let weights: [Float] = tokens.indices.map { $0 < 20 ? 0 : family == 1 ? 0.5 : 1 }
                var loss = SampleLoss.imitation
                if family == 2 {
                    loss = .policy(
                        PolicyStream(advantages: tokens.map { _ in 0.7 }, drawn: tokens.map { _ in -3 }, penalty: 0))
                }
                if family == 3 {
                    loss = .distance(tokens.map { [TeacherChoice($0, logProbability: -0.2)] })
                }
                if preferring, family == 4 {
                    loss = .preference(Preference(.good, reference: -20, beta: 0.2))
                }
                return TrainingExample(id: "\(family).\(number)", tokens: tokens, weights: weights, loss: loss)
            }
        }
    }

    private func gradients(_ parts: [RowPart], dropout: Double) throws -> (loss: Double, gradients: [[Float]]) {
        let network = try DecoderNetwork(Self.shape, weights: RandomWeights(seed: 2))
        let plan = TrainingConfiguration(
            method: .lora(LoRAConfiguration(rank: 4, alpha: 8, dropout: dropout)), precision: .float32, seed: 1)
        let trainer = try Trainer(network, configuration: plan, team: nil)
        // So that gradients reach all of the adapters.
        for (_, linear) in network.projections {
            guard let up = linear.adapter?.up else { continue }
            try up.assign(Tensor.normal(up.shape, deviation: 0.1, seed: 5))
        }
        let scales = parts.map(\.row).counts.scales
        let loss = try trainer.gradients(of: parts, number: 3, scales: scales)
        return (loss, try trainer.parameters.named.map { try $0.weight.gradient()?.floats() ?? [] })
    }

    @Test("parts of rows add up to the rows, and drop what these do", arguments: [0, 0.3], [2, 3, 7])
    func sums(dropout: Double, count: Int) throws {
        let rows = EpochRows(examples(), epochs: 1, rowTokens: 150, seed: 1).rows
        let shares = RowPart.shares(of: rows, among: count, cuts: true)
        #expect(shares.count == count)
        #expect(rows.count == count || shares.joined().contains { $0.skipped > 0 })
        let whole = try gradients(RowPart.whole(rows), dropout: dropout)
        let parts = try gradients(Array(shares.joined()), dropout: dropout)
        #expect(abs(whole.loss - parts.loss) < 1e-5)
        for (a, b) in zip(whole.gradients, parts.gradients) {
            #expect(a.count == b.count)
            for (a, b) in zip(a, b) { #expect(abs(a - b) < 1e-5) }
        }
    }

    @Test("shares are about equal, whole where that is so, and nothing is twice or missing", arguments: [1, 2, 3, 5])
    func even(count: Int) {
        let rows = EpochRows(examples(families: 30), epochs: 1, rowTokens: 150, seed: 1).rows
        let shares = RowPart.shares(of: rows, among: count, cuts: true)
        let tokens = shares.map { $0.reduce(0) { $0 + $1.row.tokens.count } }
        #expect(tokens.reduce(0, +) == rows.reduce(0) { $0 + $1.tokens.count })
        #expect((tokens.max() ?? 0) * count < tokens.reduce(0, +) * 5 / 4)
        #expect(shares.joined().map(\.row).counts == rows.counts)
        if count < 3 { #expect(shares.joined().allSatisfy { $0.skipped == 0 && $0.row == rows[$0.number] }) }
    }

    @Test("rows with preferences stay whole, and all do where they must")
    func whole() {
        let rows = EpochRows(examples(preferring: true), epochs: 1, rowTokens: 1000, seed: 1).rows
        #expect(rows.count == 1)
        #expect(RowPart.shares(of: rows, among: 3, cuts: true).joined().map(\.row) == rows)
        let plain = EpochRows(examples(), epochs: 1, rowTokens: 1000, seed: 1).rows
        #expect(RowPart.shares(of: plain, among: 3, cuts: false).joined().map(\.row) == plain)
        #expect(RowPart.shares(of: [], among: 3, cuts: true) == [[], [], []])
    }

    @Test("what is sent arrives as it was")
    func sent() throws {
        let parts = RowPart.whole(
            EpochRows(examples(preferring: true), epochs: 1, rowTokens: 100, seed: 1).rows)
        #expect(try TeamOrder.decode(TeamOrder.encode(parts)) == parts)
        let update = TeamOrder.Update(number: 7, rate: 1.0 / 3, scales: [1.0 / 7, 0, 0.1, .infinity])
        let message = try TeamOrder.update(update).message([Data([10, 1]), Data(), Data("x".utf8)])
        let (order, more) = try TeamOrder.read(message)
        guard case .update(let read) = order else {
            Issue.record("another order")
            return
        }
        #expect((read.number, read.rate, read.scales) == (7, 1.0 / 3, update.scales))
        #expect(more == [Data([10, 1]), Data(), Data("x".utf8)])
        for broken in [message.dropLast(2), message.dropFirst(3), Data()] {
            #expect(throws: TeamError.self) { try TeamOrder.read(Data(broken)) }
        }
    }
}
