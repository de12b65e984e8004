import RetortCore

/// A tool as its server describes it.
public struct MCPListing: Sendable, Hashable {
    /// The server's name of the tool.
    public var name: String
    /// What the tool does.
    public var summary: String
    /// The JSON schema of the arguments.
    public var inputSchema: JSONValue
    /// The JSON schema of the structured result; nil if there is none.
    public var outputSchema: JSONValue?
    /// Whether the server says that calls change nothing. Trust this only for servers that you know.
    public var isSaidReadOnly: Bool
    /// Whether calls must be made as tasks (2025-11-25), which this client does not support.
    var needsTask: Bool

    /// - Throws: `MCPListingFault` with the reason.
    init(_ json: JSONValue) throws(MCPListingFault) {
        guard let name = json["name"]?.string, !name.isEmpty else { throw MCPListingFault("a tool has no name") }
        guard let schema = json["inputSchema"], schema.object != nil else {
            throw MCPListingFault("the tool '\(name)' has no inputSchema")
        }
        self.name = name
        let title = json["title"]?.string ?? json["annotations"]?["title"]?.string ?? ""
        let summary = json["description"]?.string ?? ""
        self.summary = summary.isEmpty ? title : summary
        inputSchema = schema
        outputSchema = json["outputSchema"].flatMap { $0.object == nil ? nil : $0 }
        isSaidReadOnly = json["annotations"]?["readOnlyHint"] == true
        needsTask = json["execution"]?["taskSupport"] == "required"
    }
}

/// Why an entry of a tool list cannot be read.
struct MCPListingFault: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
