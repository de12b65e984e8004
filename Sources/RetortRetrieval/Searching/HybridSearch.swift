/// Two searches as one: lists joined by their ranks (reciprocal rank fusion, Cormack et al., SIGIR 2009): a passage's score is the
/// sum of 1 / (60 + rank) over the lists that hold it.
public struct HybridSearch: PassageSearch {
    private let searches: [any PassageSearch]
    /// How many passages of each list count at least.
    private static let depth = 50
    private static let offset = 60.0

    /// - Parameter searches: of the same corpus, each in its own way.
    public init(_ searches: [any PassageSearch]) { self.searches = searches }

    /// The best passages, best first.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        guard limit > 0 else { return [] }
        return try await search(all: [query], limit: limit)[0]
    }

    /// The best passages for each of several queries.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        guard limit > 0 else { return queries.map { _ in [] } }
        // The lists of each search, by query.
        let found = try await eachAtOnce(searches, most: searches.count) {
            try await $0.search(all: queries, limit: max(Self.depth, limit))
        }
        return queries.indices.map { query in Array(Self.joined(found.map { $0[query] }).prefix(limit)) }
    }

    /// Best first; equal ones in the order of their ids.
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

/// A search whose best passages a cross-encoder puts in order.
public struct RankedSearch: PassageSearch {
    private let search: any PassageSearch
    private let ranker: any PassageRanker
    private let depth: Int

    /// - Parameter depth: how many passages are looked at.
    public init(_ search: any PassageSearch, by ranker: any PassageRanker, depth: Int = 20) {
        self.search = search
        self.ranker = ranker
        self.depth = depth
    }

    /// The best passages, best first.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        guard limit > 0 else { return [] }
        return try await ranked(search.search(query, limit: max(depth, limit)), query, limit)
    }

    /// The best passages for each of several queries.
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
