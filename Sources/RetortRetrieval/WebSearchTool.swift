import RetortCore

/// `web_search(query)` over a passage index.
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
        returns: "string")

    public func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        let found = try index.search(arguments["query"]?.string ?? "", limit: limit)
        guard !found.isEmpty else { return "(no results)" }
        let lines = found.enumerated().map { "[\($0 + 1)] \($1.title)\n\($1.text)" }
        return .string(lines.joined(separator: "\n"))
    }
}
