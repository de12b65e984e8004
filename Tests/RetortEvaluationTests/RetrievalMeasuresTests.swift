import Foundation
import Testing

@testable import RetortEvaluation

@Suite("Measures of retrieval")
struct RetrievalMeasuresTests {
    private let measures = RetrievalMeasures([
        .init(wanted: ["a", "b"], found: ["x", "a", "y", "b"]), .init(wanted: ["c"], found: ["c", "d"]),
        .init(wanted: ["e"], found: ["f"]), .init(wanted: ["g", "h"], found: []),
    ])

    @Test("recall counts a question's passages among the first ones")
    func recall() {
        #expect(measures.recall(at: 1).mean == 0.25)
        #expect(measures.recall(at: 2).mean == 0.375)
        #expect(measures.recall(at: 10).mean == 0.5)
        #expect(measures.complete(at: 3).mean == 0.25 && measures.complete(at: 4).mean == 0.5)
    }

    @Test("the rank of the first hit, and gain discounted by rank")
    func ranks() {
        #expect(measures.reciprocalRank.mean == (0.5 + 1) / 4)
        let first = (1 / Foundation.log2(3.0) + 1 / Foundation.log2(5.0)) / (1 + 1 / Foundation.log2(3.0))
        #expect(abs(measures.discountedGain(at: 10).mean - (first + 1) / 4) < 1e-12)
        #expect(abs(measures.discountedGain(at: 1).mean - 0.25) < 1e-12)
    }

    @Test("intervals hold the mean, and no questions give zeros")
    func intervals() {
        let figure = measures.recall(at: 10)
        #expect(figure.low <= figure.mean && figure.mean <= figure.high && figure.low < figure.high)
        #expect(RetrievalMeasures([]).recall(at: 3) == .init(mean: 0, low: 0, high: 0))
    }
}
