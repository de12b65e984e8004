/// What a model is told about an API, in ToolBench's form: `{"Name", "function", "input"}`.
public struct ToolDocument: Codable, Sendable, Hashable {
    /// What a call names; unique among the tools of a task.
    public var name: String
    /// What the API does.
    public var function: String
    /// Its parameters: by name, the type and a word on what to pass.
    public var input: JSONValue
    /// The arguments' JSON schema, for those who check or constrain calls; models are not shown it. Nil when unknown.
    public var schema: JSONValue?

    enum CodingKeys: String, CodingKey {
        case name = "Name"
        case function, input, schema
    }

    /// - Parameter schema: of the arguments; nil when it is not known.
    public init(name: String, function: String, input: JSONValue, schema: JSONValue? = nil) {
        self.name = name
        self.function = function
        self.input = input
        self.schema = schema
    }

    /// A tool as agents of roles are told of it.
    public init(_ tool: ToolSpecification) {
        let input = tool.parameters.map { parameter in
            let words = [parameter.typeText + (parameter.isRequired ? "" : ", optional"), parameter.summary]
            return (parameter.name, JSONValue.string(words.filter { !$0.isEmpty }.joined(separator: ". ")))
        }
        self.init(
            name: tool.name, function: tool.summary,
            input: .object(Dictionary(input, uniquingKeysWith: { first, _ in first })), schema: tool.argumentSchema)
    }

    /// The document as one line of JSON, without the schema.
    public var line: String {
        JSONValue.object(["Name": .string(name), "function": .string(function), "input": input]).jsonText
    }

    /// The document in few words: `name(parameter, parameter): what it does`.
    public var signature: String {
        "\(name)(\((input.object ?? [:]).keys.sorted().joined(separator: ", "))): \(function)"
    }
}

extension AgentTask {
    private static let toolsKey = "tools"

    /// The tools that come with the task itself, as in ToolBench; kept in `metadata["tools"]`.
    public var tools: [ToolDocument] {
        get {
            (metadata[Self.toolsKey]?.array ?? []).compactMap { value in
                guard let name = value["Name"]?.string else { return nil }
                return ToolDocument(
                    name: name, function: value["function"]?.string ?? "", input: value["input"] ?? [:],
                    schema: value["schema"])
            }
        }
        set {
            metadata[Self.toolsKey] = .array(
                newValue.map { document in
                    var fields: [String: JSONValue] = [
                        "Name": .string(document.name), "function": .string(document.function),
                        "input": document.input,
                    ]
                    fields["schema"] = document.schema
                    return .object(fields)
                })
        }
    }
}
