/// A set of Unicode scalars, as ranges of their numbers that are sorted and apart.
struct ScalarSet: Sendable, Hashable {
    private(set) var ranges: [ClosedRange<UInt32>]

    init(_ ranges: [ClosedRange<UInt32>] = []) {
        var joined: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, range.lowerBound <= last.upperBound || range.lowerBound == last.upperBound + 1 {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        self.ranges = joined
    }

    init(_ scalar: UInt32) { ranges = [scalar...scalar] }

    /// Every scalar; surrogates are none.
    static let all = ScalarSet([0...0xD7FF, 0xE000...0x10FFFF])

    func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

    var inverted: ScalarSet {
        var left: [ClosedRange<UInt32>] = []
        for whole in Self.all.ranges {
            var start = whole.lowerBound
            for range in ranges where range.upperBound >= whole.lowerBound && range.lowerBound <= whole.upperBound {
                if range.lowerBound > start { left.append(start...range.lowerBound - 1) }
                start = max(start, range.upperBound + 1)
            }
            if start <= whole.upperBound { left.append(start...whole.upperBound) }
        }
        return ScalarSet(left)
    }

    func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } }
}
