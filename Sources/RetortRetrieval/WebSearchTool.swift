import RetortCore

/// The tool `web_search(query)`, or another name that a domain gives it, over a search of passages.
///
/// The result is kept short for small students: for each passage a line `[1] Title` and its text on the next line,
/// best first, without scores; `(no results)` if nothing was found.
public struct WebSearchTool: Tool {
    private let search: any PassageSearch
    private let limit: Int
    private let characters: Int?
    /// The tool's name, description and parameters as the model sees them.
    public let specification: ToolSpecification

    /// - Parameters:
    ///   - limit: the most passages that a search returns.
    ///   - name: the tool's name, which must be a Python name.
    ///   - summary: the tool's description for the model.
    ///   - characters: the most characters shown of a passage, in whole sentences; nil shows all.
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

    /// The tool's default name, description and parameter.
    public static let specification = ToolSpecification(
        name: "web_search", summary: "Searches an encyclopedia and returns the passages that fit best.",
        parameters: [.init("query", type: "string", summary: "What the passage should be about, in a few words.")],
        returns: "string", effect: .pure)

    /// Searches for the argument `query`; pure, so equal calls may share a result.
    /// - Throws: the error of the search.
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
