/// Searches several parts of one collection at once, and takes the best of all lists by their scores. If one part
/// cannot be searched the whole search fails, because its passages would be missing without notice.
///
/// The scores must be comparable. Inner products are; BM25 scores nearly are if the passages were distributed evenly.
public struct MergedSearch: PassageSearch {
    private let parts: [any PassageSearch]

    /// - Parameter parts: the searches of the parts.
    public init(_ parts: [any PassageSearch]) { self.parts = parts }

    /// The best passages of all parts.
    /// - Throws: the error of any part.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        try await search(all: [query], limit: limit)[0]
    }

    /// The same for several queries at once.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        let found = try await eachAtOnce(parts, most: parts.count) { try await $0.search(all: queries, limit: limit) }
        return queries.indices.map { query in Self.merged(found.map { $0[query] }, limit: limit) }
    }

    /// Best first; equal scores are in the order of the parts. A passage that two parts share, with the same id and
    /// text, is listed once.
    static func merged(_ lists: [[RetrievedPassage]], limit: Int) -> [RetrievedPassage] {
        let all = lists.enumerated().flatMap { part, list in
            list.enumerated().map { (part: part, rank: $0, passage: $1) }
        }
        var seen: Set<[String]> = []
        return Array(
            all.sorted { ($1.passage.score, $0.part, $0.rank) < ($0.passage.score, $1.part, $1.rank) }
                .map(\.passage).filter { seen.insert([$0.id, $0.title, $0.text]).inserted }.prefix(max(limit, 0)))
    }
}
