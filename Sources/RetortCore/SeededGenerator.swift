/// A small, fast, reproducible random number generator (SplitMix64; Steele, Lea and Flood, OOPSLA 2014).
///
/// The same seed gives the same numbers on every platform, which `SystemRandomNumberGenerator` cannot promise.
public struct SeededGenerator: RandomNumberGenerator, Sendable, Codable, Hashable {
    private var state: UInt64

    /// A generator that draws the same for the same seed.
    public init(seed: UInt64) { state = seed }

    /// A generator for one purpose, independent of the others that share the seed.
    public init(seed: UInt64, _ purpose: String) { state = seed ^ StableHash.of(purpose) }

    /// The next 64 bits (SplitMix64).
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// A hash that is the same in every process and on every platform (FNV-1a, 64 bits), unlike `Hasher`.
public enum StableHash {
    /// Hashes the UTF-8 bytes of a text.
    public static func of(_ text: String) -> UInt64 { of(text.utf8) }

    /// Hashes bytes.
    public static func of(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
