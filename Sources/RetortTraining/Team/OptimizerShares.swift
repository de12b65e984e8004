/// Which process holds the moments of which weights, where they are divided (ZeRO's first stage; arXiv 1910.02054, section 5.1).
///
/// The elements of all weights are counted one behind the other, and each process has an equal part of them: a weight may be cut.
struct OptimizerShares: Sendable, Hashable {
    /// Some elements of a weight.
    struct Piece: Sendable, Hashable {
        /// The weight's place among those that learn.
        let weight: Int
        /// Counted within the weight.
        let elements: Range<Int>
    }

    /// Where each weight begins, and the end of the last.
    private let starts: [Int]
    /// The number of processes.
    let size: Int

    /// - Parameter counts: how many elements each weight has.
    init(_ counts: [Int], among size: Int) {
        starts = counts.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
        self.size = size
    }

    /// The elements of all weights.
    var count: Int { starts.last ?? 0 }

    /// The most that a process has.
    var largest: Int { (count + size - 1) / size }

    /// The elements of a process; the last ones may have fewer.
    func range(of rank: Int) -> Range<Int> { min(rank * largest, count)..<min((rank + 1) * largest, count) }

    /// What of a process's elements lies in a step, which is counted within them.
    func part(_ step: Range<Int>, of rank: Int) -> Range<Int> {
        let own = range(of: rank)
        return min(
            own.lowerBound + step.lowerBound, own.upperBound)..<min(
                own.lowerBound + step.upperBound, own.upperBound)
    }

    /// Elements by weight.
    func pieces(_ elements: Range<Int>) -> [Piece] {
        guard !elements.isEmpty else { return [] }
        // The last weight that begins at or before the first element.
        var (low, high) = (0, starts.count - 1)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= elements.lowerBound { low = middle } else { high = middle }
        }
        var pieces: [Piece] = []
        while low < starts.count - 1, starts[low] < elements.upperBound {
            let own = elements.clamped(to: starts[low]..<starts[low + 1])
            if !own.isEmpty {
                pieces.append(
                    Piece(weight: low, elements: own.lowerBound - starts[low]..<own.upperBound - starts[low]))
            }
            low += 1
        }
        return pieces
    }

    /// A range in steps of so many elements at most.
    static func steps(_ range: Range<Int>, of most: Int) -> [Range<Int>] {
        stride(from: range.lowerBound, to: range.upperBound, by: most).map {
            $0..<min($0 + most, range.upperBound)
        }
    }
}
