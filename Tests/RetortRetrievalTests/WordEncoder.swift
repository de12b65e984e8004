import Foundation
import Synchronization

@testable import RetortRetrieval

/// An encoder for tests: a text's vector has a place for each word, of length one; it counts what it is asked.
final class WordEncoder: PassageEncoder {
    let dimensions: Int
    let identity: String
    private let asked = Mutex<[[String]]>([])
    /// After so many passages it fails; nil is never.
    private let breaks: Int?

    struct Broken: Error {}

    init(_ identity: String = "words", dimensions: Int = 32, breaksAfter breaks: Int? = nil) {
        (self.identity, self.dimensions, self.breaks) = (identity, dimensions, breaks)
    }

    /// The texts of each call.
    var calls: [[String]] { asked.withLock { $0 } }
    var texts: [String] { calls.flatMap(\.self) }

    func embedQueries(_ texts: [String]) async throws -> [Float] {
        // Others come in the meantime.
        try await Task.sleep(for: .milliseconds(20))
        return embed(texts)
    }

    func embedPassages(_ texts: [String]) async throws -> [Float] {
        let vectors = embed(texts)
        if let breaks, self.texts.count > breaks { throw Broken() }
        return vectors
    }

    private func embed(_ texts: [String]) -> [Float] {
        asked.withLock { $0.append(texts) }
        return texts.flatMap { text in
            var vector = [Float](repeating: 0, count: dimensions)
            for word in SearchQuery.words(of: text) {
                let place = word.utf8.reduce(5381) { ($0 &* 33 &+ Int($1)) & 0xFFFF } % dimensions
                vector[place] += 1
            }
            let length = max(vector.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-6)
            return vector.map { $0 / length }
        }
    }
}

/// A folder for a test.
struct TestFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(at: url) }

    func index(_ passages: [(id: String, contents: String)], named name: String = "passages") throws -> PassageIndex {
        let corpus = url.appendingPathComponent("\(name).jsonl")
        let lines = passages.map { "{\"id\": \"\($0.id)\", \"contents\": \"\($0.contents)\"}\n" }
        try Data(lines.joined().utf8).write(to: corpus)
        let file = url.appendingPathComponent("\(name).sqlite")
        try PassageIndex.buildIfNeeded(from: corpus, to: file)
        return try PassageIndex(file)
    }
}
