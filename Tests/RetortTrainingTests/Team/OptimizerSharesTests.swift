import Testing

@testable import RetortTraining

@Suite("Moments divided among processes")
struct OptimizerSharesTests {
    @Test(
        "every element belongs to one process, and none has more than its share",
        arguments: [[5, 1, 7, 0, 4], [1], [100], [3, 3, 3], []], [1, 2, 3, 8, 40])
    func cover(counts: [Int], size: Int) {
        let shares = OptimizerShares(counts, among: size)
        var owners = counts.map { [Int](repeating: 0, count: $0) }
        for rank in 0..<size {
            let range = shares.range(of: rank)
            #expect(range.count <= shares.largest)
            for piece in shares.pieces(range) {
                #expect(!piece.elements.isEmpty)
                for element in piece.elements { owners[piece.weight][element] += 1 }
            }
        }
        #expect(owners.joined().allSatisfy { $0 == 1 })
        #expect(shares.largest * size < shares.count + size)
    }

    @Test("steps through what each process has meet every element once", arguments: [1, 2, 5, 100])
    func steps(most: Int) {
        let shares = OptimizerShares([5, 1, 7, 0, 4], among: 3)
        var found: [Int] = []
        for step in OptimizerShares.steps(0..<shares.largest, of: most) {
            for rank in 0..<3 { found += shares.part(step, of: rank) }
        }
        #expect(found.sorted() == Array(0..<17))
        #expect(OptimizerShares.steps(0..<0, of: 3).isEmpty)
    }

    @Test("pieces are cut at the weights' ends")
    func pieces() {
        let shares = OptimizerShares([5, 1, 0, 7], among: 2)
        #expect(
            shares.pieces(4..<9) == [
                .init(weight: 0, elements: 4..<5), .init(weight: 1, elements: 0..<1), .init(weight: 3, elements: 0..<3),
            ])
        #expect(shares.pieces(3..<3).isEmpty)
        #expect(shares.pieces(12..<13) == [.init(weight: 3, elements: 6..<7)])
    }
}
