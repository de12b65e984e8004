/// Several searches combined by reciprocal rank fusion (Cormack et al., SIGIR 2009): a passage's score is the sum of
/// 1 / (60 + rank), rank counted from 1, over the lists that contain it.
public struct HybridSearch: PassageSearch {
    private let searches: [any PassageSearch]
    /// The least number of passages of each list that are taken into account.
    private static let depth = 50
    private static let offset = 60.0

    /// - Parameter searches: searches of the same collection; passages are matched by their ids.
    public init(_ searches: [any PassageSearch]) { self.searches = searches }

    /// The passages with the highest fused scores.
    /// - Throws: the error of any of the searches.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        guard limit > 0 else { return [] }
        return try await search(all: [query], limit: limit)[0]
    }

    /// The same for several queries at once.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        guard limit > 0 else { return queries.map { _ in [] } }
        // The lists of each search, by query.
        let found = try await eachAtOnce(searches, most: searches.count) {
            try await $0.search(all: queries, limit: max(Self.depth, limit))
        }
        return queries.indices.map { query in Array(Self.joined(found.map { $0[query] }).prefix(limit)) }
    }

    /// Best first; equal scores are in the order of the ids.
    static func joined(_ lists: [[RetrievedPassage]]) -> [RetrievedPassage] {
        var scores: [String: Double] = [:]
        var passages: [String: RetrievedPassage] = [:]
        for list in lists {
            for (rank, passage) in list.enumerated() {
                scores[passage.id, default: 0] += 1 / (offset + Double(rank + 1))
                passages[passage.id] = passages[passage.id] ?? passage
            }
        }
        return passages.values.map { $0.with(score: scores[$0.id] ?? 0) }
            .sorted { ($1.score, $0.id) < ($0.score, $1.id) }
    }
}

/// A search whose best passages are reordered by a cross-encoder.
public struct RankedSearch: PassageSearch {
    private let search: any PassageSearch
    private let ranker: any PassageRanker
    private let depth: Int

    /// - Parameter depth: how many of the search's passages are scored; at least as many as are asked for.
    public init(_ search: any PassageSearch, by ranker: any PassageRanker, depth: Int = 20) {
        self.search = search
        self.ranker = ranker
        self.depth = depth
    }

    /// The passages with the highest scores of the ranker.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        guard limit > 0 else { return [] }
        return try await ranked(search.search(query, limit: max(depth, limit)), query, limit)
    }

    /// The same for several queries; the search gets them together, the ranker one after another.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        guard limit > 0 else { return queries.map { _ in [] } }
        let found = try await search.search(all: queries, limit: max(depth, limit))
        var lists: [[RetrievedPassage]] = []
        for (query, list) in zip(queries, found) { lists.append(try await ranked(list, query, limit)) }
        return lists
    }

    private func ranked(_ found: [RetrievedPassage], _ query: String, _ limit: Int) async throws -> [RetrievedPassage] {
        guard !found.isEmpty else { return [] }
        let scores = try await ranker.scores(query, found.map(\.encoded))
        let ranked = zip(found, scores).map { $0.with(score: Double($1)) }
        return Array(ranked.sorted { ($1.score, $0.id) < ($0.score, $1.id) }.prefix(limit))
    }
}
