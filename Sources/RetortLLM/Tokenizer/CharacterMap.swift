import Foundation

/// SentencePiece's compiled table of character replacements (`precompiled_charsmap`): a trie in a double array (Aoe
/// 1989, in the layout of darts-clone) over the texts, and the replacements, each terminated by a zero.
///
/// It is applied as in the `tokenizers` library: a short cluster of characters is replaced as a whole by what its
/// beginning stands for, otherwise each of its characters is replaced separately.
struct CharacterMap: Sendable {
    private let units: [UInt32]
    private let replacements: [UInt8]
    /// Clusters of this many bytes or more are not looked up as a whole.
    private static let longestCluster = 6

    /// - Throws: `TokenizerError.malformed`.
    init(base64 text: String, file: String) throws {
        guard let data = Data(base64Encoded: text), data.count >= 4 else {
            throw TokenizerError.malformed(
                file: file, "the precompiled table of characters is not in Base64, or cut short")
        }
        let bytes = [UInt8](data)
        func word(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * $1) } }
        let size = Int(word(0))
        guard size.isMultiple(of: 4), size > 0, 4 + size <= bytes.count else {
            throw TokenizerError.malformed(file: file, "the precompiled table of characters is cut short")
        }
        units = stride(from: 4, to: 4 + size, by: 4).map(word)
        replacements = Array(bytes[(4 + size)...])
    }

    /// The replacement of the first beginning of a text that the table contains; nil when it contains none.
    private func replacement(of text: some Sequence<UInt8>) -> ArraySlice<UInt8>? {
        var node = 0
        func unit() -> UInt32? { units.indices.contains(node) ? units[node] : nil }
        func follow(_ unit: UInt32) { node ^= Int((unit >> 10) << ((unit & (1 << 9)) >> 6)) }
        guard let root = unit() else { return nil }
        follow(root)
        for byte in text where byte != 0 {
            node ^= Int(byte)
            guard let next = unit(), next & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
            follow(next)
            guard next >> 8 & 1 == 1 else { continue }
            guard let leaf = unit() else { return nil }
            let start = Int(leaf & 0x7FFF_FFFF)
            guard start <= replacements.count else { return nil }
            return replacements[start...].prefix { $0 != 0 }
        }
        return nil
    }

    func callAsFunction(_ text: String) -> String {
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count)
        for cluster in text {
            let bytes = String(cluster).utf8
            if bytes.count < Self.longestCluster, let replacement = replacement(of: bytes) {
                result += replacement
                continue
            }
            for scalar in cluster.unicodeScalars {
                let own = String(scalar).utf8
                result += replacement(of: own).map(Array.init) ?? Array(own)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
