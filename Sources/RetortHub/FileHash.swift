import Crypto
import Foundation

/// What a file is known by.
enum FileHash {
    /// SHA-256 of a file.
    static func sha256(_ file: URL) throws -> String { try hash(file, SHA256()) }

    /// Git's name of a file's content.
    static func gitBlob(_ file: URL) throws -> String {
        var hash = Insecure.SHA1()
        hash.update(data: Data("blob \(HubClient.size(of: file))\0".utf8))
        return try Self.hash(file, hash)
    }

    private static func hash(_ file: URL, _ start: some HashFunction) throws -> String {
        var hash = start
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty {
            try Task.checkCancellation()
            hash.update(data: piece)
        }
        return hash.finalize().map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}
