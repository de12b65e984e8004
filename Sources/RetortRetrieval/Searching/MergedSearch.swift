/// Searches of parts of one collection, asked at once: the best of all lists by their scores. A part that cannot be asked makes
/// the search fail, for its passages would be missing in silence.
///
/// Scores must be of one kind. Inner products are; those of BM25 are nearly, for parts that were dealt out evenly.
public struct MergedSearch: PassageSearch {
    private let parts: [any PassageSearch]

    /// - Parameter parts: each holds a part of the corpus.
    public init(_ parts: [any PassageSearch]) { self.parts = parts }

    /// The best passages, best first.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        try await search(all: [query], limit: limit)[0]
    }

    /// The best passages for each of several queries.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        let found = try await eachAtOnce(parts, most: parts.count) { try await $0.search(all: queries, limit: limit) }
        return queries.indices.map { query in Self.merged(found.map { $0[query] }, limit: limit) }
    }

    /// Best first; equal ones in the order of the parts. What two parts hold alike, under one id with one text, stands once.
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
