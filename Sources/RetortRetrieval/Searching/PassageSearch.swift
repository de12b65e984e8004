/// Finds passages for a query: by words, by meaning, by both, or by asking a server.
public protocol PassageSearch: Sendable {
    /// The best passages, best first; at most `limit`.
    func search(_ query: String, limit: Int) async throws -> [RetrievedPassage]
    /// The best passages for each query, in the order of the queries.
    func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]]
}

extension PassageSearch {
    /// Searches each query separately, several at the same time.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        try await eachAtOnce(queries, most: 16) { try await search($0, limit: limit) }
    }
}

/// The results of work on each element, in their order, with at most `most` elements in work at the same time.
func eachAtOnce<Element: Sendable, Result: Sendable>(
    _ elements: [Element], most: Int, _ work: @escaping @Sendable (Element) async throws -> Result
) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
        var results: [Int: Result] = [:]
        for (number, element) in elements.enumerated() {
            if number >= most, let (done, result) = try await group.next() { results[done] = result }
            group.addTask { (number, try await work(element)) }
        }
        for try await (done, result) in group { results[done] = result }
        return elements.indices.compactMap { results[$0] }
    }
}

extension PassageIndex: PassageSearch {}

/// Makes vectors of texts, such that texts of similar meaning have a large inner product.
public protocol PassageEncoder: Sendable {
    /// The width of the vectors.
    var dimensions: Int { get }
    /// Must change whenever the same text may get a different vector. The part after the last `/` may differ between
    /// the vectors of passages and of queries, such as the precision that they are computed in.
    var identity: String { get }
    /// The vectors of the texts, concatenated.
    func embedQueries(_ texts: [String]) async throws -> [Float]
    /// The vectors of passages, concatenated; encoders may prepend other prompts than for queries.
    func embedPassages(_ texts: [String]) async throws -> [Float]
}

/// Scores how well passages fit a query by reading both together.
public protocol PassageRanker: Sendable {
    /// Must change whenever the same query and text may get another score.
    var identity: String { get }
    /// One score for each text; larger is better.
    func scores(_ query: String, _ texts: [String]) async throws -> [Float]
}

extension RetrievedPassage {
    /// The text that encoders get: the title, and the text on the next line.
    var encoded: String { title.isEmpty ? text : text.isEmpty ? title : "\(title)\n\(text)" }

    func with(score: Double) -> RetrievedPassage { RetrievedPassage(id: id, title: title, text: text, score: score) }
}

extension PassageEncoder {
    /// Whether vectors of another identity can be compared with this encoder's.
    func compares(with other: String) -> Bool {
        func model(_ identity: String) -> Substring {
            identity.prefix(upTo: identity.lastIndex(of: "/") ?? identity.endIndex)
        }
        return model(identity) == model(other)
    }
}
