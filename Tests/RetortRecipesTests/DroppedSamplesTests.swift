import Foundation
import RetortCore
import RetortLLM
import RetortTraining
import Testing

@testable import RetortRecipes

@Suite("Samples that are too long", .timeLimit(.minutes(30)))
struct DroppedSamplesTests {
    private func set(kept: Int, dropped: [Int]) -> TrainingSet {
        var set = TrainingSet([])
        set.examples = (0..<kept).map { TrainingExample(id: "\($0)", tokens: [1, 2], trainable: [false, true]) }
        set.droppedLengths = dropped
        return set
    }

    @Test("a large share is warned of, with the limits that would take them")
    func warning() throws {
        let dropped = try #require(DroppedSamples(set(kept: 48, dropped: (1...52).map { 2000 + $0 })))
        #expect(dropped.count == 52 && dropped.all == 100 && dropped.longest == 2052)
        // Five of a hundred may stay out.
        #expect(dropped.ampleLimit == 2047)
        let told = try #require(dropped.warning(limit: 2000))
        #expect(
            told.hasPrefix("WARNING: 52 of 100 samples (52 %) are not trained on: they are longer than maxTokens, 2000")
        )
        #expect(told.contains("maxTokens: 2047 would take at least 95 % of them, 2052 all. Raise it"))
        #expect(dropped.warning(limit: 2000, positions: 2046)?.contains("the base reads 2046 tokens at most") == true)
        #expect(dropped.warning(limit: 2000, positions: 2047)?.contains("the base") == false)
    }

    @Test("few are no matter for a warning, and none no record")
    func few() throws {
        #expect(DroppedSamples(set(kept: 4, dropped: [])) == nil)
        #expect(try #require(DroppedSamples(set(kept: 95, dropped: [9, 8, 7, 6, 5]))).warning(limit: 4) == nil)
        #expect(try #require(DroppedSamples(set(kept: 94, dropped: [9, 8, 7, 6, 5, 5]))).warning(limit: 4) != nil)
        #expect(try #require(DroppedSamples(set(kept: 0, dropped: [9]))).ampleLimit == 9)
        var sum = set(kept: 1, dropped: [9])
        sum += set(kept: 2, dropped: [7, 8])
        #expect(sum.dropped == 3 && sum.droppedLengths == [9, 7, 8])
    }

    /// Trains a chain of thought on a base of few positions.
    private func trained(_ plan: String) async throws -> (
        lengths: [Int], config: JSONValue?, record: TrainingRecord, report: String
    ) {
        let bench = try AgentBench()
        defer { bench.remove() }
        try AgentBench.writeBase(to: bench.base, seed: 3, positions: 64)
        let recipe = try Recipe(
            yaml: """
                name: small
                domain: {world: {seed: 1, people: 60, passages: 1, train: {factual: 0, math: 10}}}
                students: [{name: s, base: '\(bench.base.path)'}]
                training: {cot: {epochs: 1, validation: none, \(plan)}}
                evaluation: {systems: [cot], tasks: 1, maxSteps: 1, maxTokens: 8}
                """, file: "r.yaml")
        let run = try await RecipeRun(recipe, folder: bench.run, keepingSamples: true)
        _ = try await run.closing { try await $0.run() }
        let samples = try JSONLinesFile(bench.run.appendingPathComponent("results/samples-s-cot.jsonl"))
            .read(JSONValue.self).records
        let config = try? Data(contentsOf: bench.run.appendingPathComponent("checkpoints/s/cot/config.json"))
        return (
            samples.compactMap { $0["tokens"]?.array?.count }, try config.map { try ExactJSON.value(of: $0) },
            try #require(TrainingRecord.of(stage: "train/s/cot", in: bench.run)),
            try String(contentsOf: bench.run.appendingPathComponent("report.md"), encoding: .utf8)
        )
    }

    @Test("a student whose weights learned longer texts than its base reads them; the report names those left out")
    func positions() async throws {
        let whole = try await trained("maxTokens: 512")
        let longest = try #require(whole.lengths.max())
        #expect(longest > 64 && whole.lengths.count == 10 && whole.record.dropped == nil)
        #expect(whole.config?["max_position_embeddings"] == .integer(longest))
        #expect(!whole.report.contains("WARNING"))
        let limit = try #require(whole.lengths.min()) + 1
        let part = try await trained("maxTokens: \(limit)")
        #expect(part.record.samples == part.lengths.count && part.record.dropped?.all == 10)
        #expect(part.record.dropped?.longest == longest)
        #expect(part.report.contains("\(part.lengths.count) of 10") && part.report.contains("\(longest) all"))
        #expect(part.config?["max_position_embeddings"] == .integer(part.lengths.max() ?? 0))
    }
}
