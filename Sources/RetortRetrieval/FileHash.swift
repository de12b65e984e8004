import Foundation

/// A hash that tells whether a file's bytes changed. It guards against edits, not against forgery.
enum FileHash {
    /// The file's size and a 64-bit hash of its bytes, a word at a time (the mixing step of SplitMix64).
    /// - Throws: `RetrievalError.missing`.
    static func of(_ file: URL) throws -> String {
        guard let handle = FileHandle(forReadingAtPath: file.path) else {
            throw RetrievalError.missing(file: file.path)
        }
        defer { try? handle.close() }
        var hash: UInt64 = 0
        var size = 0
        // Reads are whole multiples of eight bytes until the last one.
        while let chunk = try handle.read(upToCount: 1 << 20), !chunk.isEmpty {
            size += chunk.count
            chunk.withUnsafeBytes { bytes in
                var offset = 0
                while offset + 8 <= bytes.count {
                    mix(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self), into: &hash)
                    offset += 8
                }
                while offset < bytes.count {
                    mix(UInt64(bytes[offset]), into: &hash)
                    offset += 1
                }
            }
        }
        return "\(size)-\(String(hash, radix: 16))"
    }

    private static func mix(_ word: UInt64, into hash: inout UInt64) {
        var mixed = (hash ^ word) &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = mixed ^ (mixed >> 27)
    }
}
