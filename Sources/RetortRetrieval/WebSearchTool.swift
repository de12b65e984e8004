import RetortCore

/// `web_search(query)`, or what a domain calls it, over a search of passages.
///
/// The result is short, for students are small: for each passage a line `[1] Title` and its text on the next line, best
/// first, without scores; `(no results)` when there is none.
public struct WebSearchTool: Tool {
    private let search: any PassageSearch
    private let limit: Int
    private let characters: Int?
    /// What the model is told about it.
    public let specification: ToolSpecification

    /// - Parameters:
    ///   - limit: the most passages a search returns.
    ///   - characters: how much of a passage is shown at most, in whole sentences; nil is all.
    ///   - name: what the model calls it; a Python name.
    ///   - summary: what the model is told that it does.
    public init(
        _ search: any PassageSearch, limit: Int = 3, name: String = specification.name,
        summary: String = specification.summary, characters: Int? = nil
    ) {
        self.search = search
        self.characters = characters
        self.limit = limit
        var specification = Self.specification
        specification.name = name
        specification.summary = summary
        self.specification = specification
    }

    /// What the model is told.
    public static let specification = ToolSpecification(
        name: "web_search", summary: "Searches an encyclopedia and returns the passages that fit best.",
        parameters: [.init("query", type: "string", summary: "What the passage should be about, in a few words.")],
        returns: "string", effect: .pure)

    /// Searches, and writes what was found as text.
    public func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        let query = arguments["query"]?.string ?? ""
        var found = try await search.search(query, limit: limit)
        if let characters {
            found = found.map { passage in
                RetrievedPassage(
                    id: passage.id, title: passage.title,
                    text: PassageSnippet.of(passage.text, for: query, characters: characters), score: passage.score)
            }
        }
        return .string(Self.text(of: found))
    }

    /// Passages as the model sees them.
    public static func text(of passages: [RetrievedPassage]) -> String {
        guard !passages.isEmpty else { return "(no results)" }
        return passages.enumerated().map { "[\($0 + 1)] \($1.title)\n\($1.text)" }.joined(separator: "\n")
    }
}
