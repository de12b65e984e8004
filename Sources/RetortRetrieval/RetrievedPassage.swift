/// A passage that a search found.
public struct RetrievedPassage: Sendable, Hashable {
    /// The passage's id in its corpus.
    public let id: String
    /// The first line of its contents.
    public let title: String
    /// The rest.
    public let text: String
    /// BM25; larger is better. Comparable within one search only.
    public let score: Double
}
