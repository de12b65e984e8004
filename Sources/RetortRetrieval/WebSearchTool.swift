import RetortCore

/// `web_search(query)` over a passage index.
///
/// The result is short, for students are small: for each passage a line `[1] Title` and its text on the next line, best
/// first, without scores; `(no results)` when there is none.
public struct WebSearchTool: Tool {
    private let index: PassageIndex
    private let limit: Int

    /// - Parameter limit: the most passages a search returns.
    public init(_ index: PassageIndex, limit: Int = 3) {
        self.index = index
        self.limit = limit
    }

    public var specification: ToolSpecification { Self.specification }

    /// What the model is told.
    public static let specification = ToolSpecification(
        name: "web_search", summary: "Searches an encyclopedia and returns the passages that fit best.",
        parameters: [.init("query", type: "string", summary: "What the passage should be about, in a few words.")],
        returns: "string", effect: .pure)

    public func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        let found = try await index.search(arguments["query"]?.string ?? "", limit: limit)
        return .string(Self.text(of: found))
    }

    /// Passages as the model sees them.
    public static func text(of passages: [RetrievedPassage]) -> String {
        guard !passages.isEmpty else { return "(no results)" }
        return passages.enumerated().map { "[\($0 + 1)] \($1.title)\n\($1.text)" }.joined(separator: "\n")
    }
}
