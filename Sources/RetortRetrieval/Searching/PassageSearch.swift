/// What finds passages for a query: by words, by meaning, by both, or a server that does.
public protocol PassageSearch: Sendable {
    /// The best passages, best first.
    func search(_ query: String, limit: Int) async throws -> [RetrievedPassage]
    /// The best passages of each query, in their order.
    func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]]
}

extension PassageSearch {
    /// Each query by itself, several at the same time.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        try await eachAtOnce(queries, most: 16) { try await search($0, limit: limit) }
    }
}

/// The results of work on each element, in their order; so many at the same time.
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

/// What makes vectors of texts, such that those of like meaning have a large inner product.
public protocol PassageEncoder: Sendable {
    /// How wide the vectors are.
    var dimensions: Int { get }
    /// Changes whenever the same text may get another vector. What stands behind its last `/` may differ between the vectors of passages
    /// and of queries, such as the precision that they are computed in.
    var identity: String { get }
    /// The vectors of texts, one behind the other.
    func embedQueries(_ texts: [String]) async throws -> [Float]
    func embedPassages(_ texts: [String]) async throws -> [Float]
}

/// What says how well passages fit a query by looking at both together.
public protocol PassageRanker: Sendable {
    var identity: String { get }
    /// One score for each text; larger is better.
    func scores(_ query: String, _ texts: [String]) async throws -> [Float]
}

extension RetrievedPassage {
    /// What encoders are given of it: the title, and the text on the next line.
    var encoded: String { title.isEmpty ? text : text.isEmpty ? title : "\(title)\n\(text)" }

    func with(score: Double) -> RetrievedPassage { RetrievedPassage(id: id, title: title, text: text, score: score) }
}

extension PassageEncoder {
    /// Whether vectors of that identity can be compared with its own.
    func compares(with other: String) -> Bool {
        func model(_ identity: String) -> Substring {
            identity.prefix(upTo: identity.lastIndex(of: "/") ?? identity.endIndex)
        }
        return model(identity) == model(other)
    }
}
