import RetortCore

/// Deals things into parts by their names: the parts look random, but are the same in every process.
package enum Dealing {
    /// The part that a name falls into, from 0 to `count` - 1.
    ///
    /// FNV-1a alone is not enough: its lowest bit is the exclusive or of the bytes' lowest bits, so the halves of two
    /// seeds would be equal or complementary. SplitMix64 mixes all of its bits.
    package static func part(of name: String, among count: UInt64) -> UInt64 {
        var generator = SeededGenerator(seed: StableHash.of(name))
        return generator.next() % count
    }
}
