import Foundation
import RetortCore

/// Search by meaning: each passage's vector beside those of a passage index, compared with the query's.
///
/// The vectors' file lies beside the passage index, and a file beside it says which passages and which encoder it is of.
public struct DenseIndex: PassageSearch {
    private let passages: PassageIndex
    private let vectors: VectorIndex
    private let queries: QueryVectors

    /// What a file of vectors was made of.
    struct Stamp: Codable, Equatable {
        var passages: String
        var encoder: String
        var count: Int
        var width: Int
        var form: String
    }

    /// Opens vectors that were made before.
    /// - Throws: `RetrievalError` where they are not those of these passages and this encoder.
    public init(_ passages: PassageIndex, vectors file: URL, encoder: any PassageEncoder) throws {
        let stamp = try Self.stamp(of: file)
        guard let stamp, encoder.compares(with: stamp.encoder), stamp.passages == passages.source else {
            throw RetrievalError.notAnIndex(
                file: file.path, reason: "its vectors are of other passages or of another encoder")
        }
        vectors = try VectorIndex(file)
        guard vectors.count == passages.count, vectors.width == encoder.dimensions else {
            throw RetrievalError.notAnIndex(
                file: file.path,
                reason: "it holds \(vectors.count) vectors of the width \(vectors.width), and there are "
                    + "\(passages.count) passages and vectors of the width \(encoder.dimensions)")
        }
        self.passages = passages
        queries = QueryVectors(encoder)
    }

    /// The nearest passages, nearest first.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        try await search(all: [query], limit: limit)[0]
    }

    /// Queries that are searched for in one call: each vector is read once for several of them.
    private static let queriesAtOnce = 256

    /// The nearest passages for each of several queries.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        var lists: [[RetrievedPassage]] = queries.map { _ in [] }
        guard limit > 0, passages.count > 0 else { return lists }
        let telling = queries.indices.filter { queries[$0].contains { !$0.isWhitespace } }
        for start in stride(from: 0, to: telling.count, by: Self.queriesAtOnce) {
            let part = telling[start..<min(start + Self.queriesAtOnce, telling.count)]
            let found = try vectors.search(await self.queries.vectors(part.map { queries[$0] }), limit: limit)
            let rows = try await passages.passages(at: found.flatMap { $0.map { $0.place + 1 } })
            var row = 0
            for (query, list) in zip(part, found) {
                lists[query] = list.enumerated().map { rows[row + $0].with(score: Double($1.score)) }
                row += list.count
            }
        }
        return lists
    }

    static func stamp(of file: URL) throws -> Stamp? {
        guard let data = try? Data(contentsOf: companion(of: file)) else { return nil }
        return try? JSONCoding.decoder.decode(Stamp.self, from: data)
    }

    /// The file that belongs to the vectors, besides themselves.
    public static func companion(of file: URL) -> URL { file.appendingPathExtension("json") }
}

extension DenseIndex {
    /// How far the making of an index is.
    public enum Progress: Sendable, Hashable {
        /// The index of words is being made, and will lie there.
        case begun(index: URL)
        case words(PassageIndex.Progress)
        /// Passages whose vectors are there, of all.
        case embedded(Int, of: Int)
        /// Vectors that are in the index, of all.
        case indexed(Int, of: Int)
    }

    /// Passages that are embedded at once.
    private static let batch = 256

    /// Makes the vectors of a passage index, unless `file` has them already. Only passages whose text is new are embedded; a work that
    /// was killed goes on where it stood.
    /// - Parameters:
    ///   - store: where vectors are kept by the text that they are of.
    ///   - memory: what an index may take when it is searched, in bytes; nil is a quarter of what there is.
    /// - Throws: `RetrievalError`; what the encoder throws; `CancellationError`.
    public static func buildIfNeeded(
        of passages: PassageIndex, by encoder: any PassageEncoder, to file: URL, store: URL,
        memory: Int? = nil, form: VectorForm? = nil,
        progress: @Sendable (Progress) -> Void = { _ in }
    ) async throws {
        let (count, width) = (passages.count, encoder.dimensions)
        let form =
            form
            ?? VectorForm.fitting(
                count: count, width: width, memory: memory ?? Int(ProcessInfo.processInfo.physicalMemory / 4),
                hasFaiss: VectorIndex.faissRefusal == nil)
        let stamp = Stamp(
            passages: passages.source, encoder: encoder.identity, count: count, width: width,
            form: form.description(width: width) ?? "Flat")
        if try self.stamp(of: file) == stamp, FileManager.default.fileExists(atPath: file.path) { return }
        let kept = try VectorStore(store, width: width)
        var keys: [VectorStore.Key] = []
        keys.reserveCapacity(count)
        progress(.embedded(0, of: count))
        while keys.count < count {
            try Task.checkCancellation()
            let texts = try await passages.passages(at: Array(keys.count + 1...min(keys.count + batch, count))).map(
                \.encoded)
            let own = texts.map(VectorStore.Key.init)
            var isNew: Set<VectorStore.Key> = []
            let new = zip(own, texts).filter { !kept.holds($0.0) && isNew.insert($0.0).inserted }
            if !new.isEmpty {
                let vectors = try await encoder.embedPassages(new.map(\.1))
                guard vectors.count == new.count * width, vectors.allSatisfy(\.isFinite) else {
                    throw RetrievalError.width(expected: new.count * width, found: vectors.filter(\.isFinite).count)
                }
                try kept.add(new.map(\.0), vectors)
            }
            keys += own
            progress(.embedded(keys.count, of: count))
        }
        try? FileManager.default.removeItem(at: companion(of: file))
        progress(.indexed(0, of: count))
        try form.write(count: count, width: width, to: file) {
            try kept.vectors(Array(keys[$0]))
        } progress: {
            progress(.indexed($0, of: count))
        }
        try AtomicFile.write(JSONCoding.encoder.encode(stamp), to: companion(of: file))
        try kept.compact(keeping: Set(keys))
    }
}
