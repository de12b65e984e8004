import Foundation
import RetortCore

/// A repository at one commit, as the hub lists it.
struct HubRepository: Sendable {
    struct File: Sendable, Hashable {
        let path: String
        /// The size in bytes; nil when the hub does not say.
        let size: Int64?
        /// The SHA-256 of the content, which identifies large files (Git LFS).
        let sha256: String?
        /// Git's object id of the content (SHA-1 of `blob SIZE\0` and the content), which identifies small files.
        let blob: String?

        /// The name under which the content is stored in the cache.
        var key: String? { sha256 ?? blob }
    }

    let commit: String
    let files: [File]

    /// Reads the hub's description of a model (`/api/models/NAME/revision/REVISION?blobs=true`). Other members do not
    /// concern the files.
    init(_ answer: JSONValue, name: String) throws(HubError) {
        guard let commit = answer["sha"]?.string, Self.isHash(commit, 40) else {
            throw .malformed(what: name, reason: "'sha' is no commit")
        }
        self.commit = commit
        var files: [File] = []
        for sibling in answer["siblings"]?.array ?? [] {
            guard let path = sibling["rfilename"]?.string else {
                throw .malformed(what: name, reason: "a file without a name")
            }
            guard Self.isSafe(path) else { throw .malformed(what: name, reason: "the file name '\(path)'") }
            let large = sibling["lfs"]?["sha256"]?.string
            let blob = sibling["blobId"]?.string
            guard large.map({ Self.isHash($0, 64) }) ?? true, blob.map({ Self.isHash($0, 40) }) ?? true else {
                throw .malformed(what: name, reason: "\(path) has a hash that is none")
            }
            let size = (sibling["lfs"]?["size"] ?? sibling["size"]).flatMap { value in
                if case .integer(let count) = value, count >= 0 { Int64(count) } else { nil }
            }
            files.append(File(path: path, size: size, sha256: large, blob: large == nil ? blob : nil))
        }
        self.files = files
    }

    private static func isHash(_ text: String, _ length: Int) -> Bool {
        text.utf8.count == length && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    /// Whether a path stays inside the folder that it is put in.
    private static func isSafe(_ path: String) -> Bool {
        !path.contains("\\") && !path.utf8.contains(0)
            && path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part != "." && part != ".."
            }
    }
}
