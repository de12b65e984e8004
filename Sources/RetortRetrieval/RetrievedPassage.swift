/// A passage that a search found.
public struct RetrievedPassage: Sendable, Hashable {
    /// The passage's id in its corpus.
    public let id: String
    /// The first line of the contents.
    public let title: String
    /// The other lines.
    public let text: String
    /// Larger is better; BM25 for a search by words. Scores are comparable within one search only.
    public let score: Double
}
