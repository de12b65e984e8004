import RetortCore

/// A tool as its server describes it.
public struct MCPListing: Sendable, Hashable {
    /// The server's name for it.
    public var name: String
    /// What it does.
    public var summary: String
    /// The arguments' JSON schema.
    public var inputSchema: JSONValue
    /// The structured result's JSON schema, where it has one.
    public var outputSchema: JSONValue?
    /// The server's word that calls change nothing; servers are not to be trusted with it unless one knows them.
    public var isSaidReadOnly: Bool
    /// Whether calls must be made as tasks (2025-11-25), which is not done here.
    var needsTask: Bool

    /// - Throws: a reason.
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

/// Why a list of tools cannot be read.
struct MCPListingFault: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
