import Crypto
import Foundation

/// What files are known by, wherever they lie and whatever they are called.
package enum ContentHash {
    /// Bytes that are read at once.
    private static let block = 1 << 22

    /// The SHA-256 of files one behind the other, in hexadecimal digits.
    /// - Throws: what reading throws; `CancellationError`.
    package static func sha256(_ files: [URL]) throws -> String { try hash(files, SHA256()) }

    /// Git's name of a file's content: the SHA-1 of `blob`, its size, a zero byte and the content.
    /// - Parameter size: of the file, in bytes.
    package static func gitBlob(_ file: URL, size: Int64) throws -> String {
        var hash = Insecure.SHA1()
        hash.update(data: Data("blob \(size)\0".utf8))
        return try Self.hash([file], hash)
    }

    /// A digest as people write it.
    package static func text(_ digest: some Digest) -> String {
        digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func hash(_ files: [URL], _ start: some HashFunction) throws -> String {
        var hash = start
        for file in files {
            let handle = try FileHandle(forReadingFrom: file)
            defer { try? handle.close() }
            while let piece = try handle.read(upToCount: block), !piece.isEmpty {
                try Task.checkCancellation()
                hash.update(data: piece)
            }
        }
        return text(hash.finalize())
    }
}
