import RetortCore

/// Deals things by their names into parts that look random, the same in every process.
public enum Dealing {
    /// Which of so many parts a name falls into, from 0.
    ///
    /// FNV-1a alone will not do: its lowest bit is the exclusive or of the bytes' lowest bits, so that the halves of two
    /// seeds would be the same or each other's complement. SplitMix64 mixes all of its bits.
    public static func part(of name: String, among count: UInt64) -> UInt64 {
        var generator = SeededGenerator(seed: StableHash.of(name))
        return generator.next() % count
    }
}
