import Foundation
import RetortCore

/// A server's tool, as a Python function for code agents and as a JSON tool for others.
///
/// Its name and those of its parameters are made Python's where they are not (`get-time` becomes `get_time`, `from` becomes
/// `from_`); the server gets its own.
public struct MCPTool: Tool {
    /// The server's own description.
    public let listing: MCPListing
    /// The name of the server, as its user calls it.
    public let server: String
    /// What the model is told about it.
    public let specification: ToolSpecification
    /// The arguments' schema with the names of the specification.
    public let schema: JSONValue
    private let check: JSONSchema
    private let resultCheck: JSONSchema?
    /// The server's names of renamed parameters.
    private let originals: [String: String]
    private let client: MCPClient

    /// The tool as a document for JSON tool agents.
    public var document: ToolDocument {
        var document = ToolDocument(specification)
        document.schema = schema
        return document
    }

    /// - Parameter name: Python's.
    /// - Throws: `MCPError.unusableTool` for a schema that cannot be expressed, and a tool that must be called in another way.
    init(_ listing: MCPListing, name: String, effect: ToolSpecification.Effect, client: MCPClient) throws {
        self.listing = listing
        self.client = client
        server = client.name
        func unusable(_ reason: String) -> MCPError {
            .unusableTool(server: client.name, tool: listing.name, reason: reason)
        }
        guard !listing.needsTask else { throw unusable("it must be called as a task, which Retort does not do") }
        let form = try MCPParameters(listing.inputSchema, unusable)
        do {
            check = try JSONSchema(form.schema)
        } catch {
            throw unusable("\(error)")
        }
        schema = form.schema
        originals = form.originals
        // Results are checked where that can be done; a client need not (2025-11-25, Tools, Output Schema).
        resultCheck = listing.outputSchema.flatMap { try? JSONSchema($0) }
        specification = ToolSpecification(
            name: name, summary: listing.summary, parameters: form.parameters,
            returns: MCPParameters.returns(listing.outputSchema), effect: effect)
    }

    /// Calls the tool on its server.
    /// - Returns: the structured result where there is one (of `{"result": x}` the `x`), else the text.
    /// - Throws: `MCPToolFailure` for a failure by the tool's own account and for arguments that do not fit, else `MCPError`.
    public func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        try await call(arguments, progress: nil)
    }

    /// Calls the tool on its server.
    /// - Parameter progress: called with the server's words of progress.
    public func call(
        _ arguments: [String: JSONValue], progress: (@Sendable (MCPProgress) -> Void)?
    ) async throws -> JSONValue {
        let given = try fitting(arguments)
        var originalArguments: [String: JSONValue] = [:]
        for (name, value) in given { originalArguments[originals[name] ?? name] = value }
        let result = try await client.call(listing.name, originalArguments, progress: progress)
        guard !result.isError else { throw MCPToolFailure(tool: specification.name, message: result.text) }
        guard let structured = result.structured else { return .string(result.text) }
        if let fault = resultCheck?.fault(in: structured) {
            throw MCPToolFailure(
                tool: specification.name,
                message: "\(specification.name)() gave a result that does not fit its own schema: \(fault)")
        }
        return MCPParameters.isWrapped(listing.outputSchema) ? structured["result"] ?? structured : structured
    }

    /// The arguments, held against the schema before the server is asked. `None` for an optional one is the same as nothing.
    private func fitting(_ arguments: [String: JSONValue]) throws -> [String: JSONValue] {
        let optional = Set(specification.parameters.filter { !$0.isRequired }.map(\.name))
        let given = arguments.filter { $0.value != .null || !optional.contains($0.key) }
        guard given.values.allSatisfy(\.isFinite) else {
            throw MCPToolFailure(
                tool: specification.name, message: "\(specification.name)() takes no number that is not finite")
        }
        if let fault = check.fault(in: .object(given)) {
            throw MCPToolFailure(tool: specification.name, message: "\(specification.name)(): \(fault)")
        }
        return given
    }
}
