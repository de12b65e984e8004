import RetortTraining
import Testing

@testable import RetortRecipes

@Suite("Samples that are too long")
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
}
