/// What finds passages for a query: by words, by meaning, by both, or a server that does.
public protocol PassageSearch: Sendable {
    /// The best passages, best first.
    func search(_ query: String, limit: Int) async throws -> [RetrievedPassage]
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
