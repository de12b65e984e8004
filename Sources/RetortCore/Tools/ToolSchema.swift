extension ToolSpecification {
    /// The JSON schema of a call's arguments.
    public var argumentSchema: JSONValue {
        let properties = parameters.map { parameter -> (String, JSONValue) in
            var schema = parameter.schema?.object ?? [:]
            if schema.isEmpty, parameter.type != "any" { schema["type"] = .string(parameter.type) }
            if !parameter.summary.isEmpty { schema["description"] = .string(parameter.summary) }
            return (parameter.name, .object(schema))
        }
        return [
            "type": "object", "properties": .object(Dictionary(properties, uniquingKeysWith: { first, _ in first })),
            "required": .array(parameters.filter(\.isRequired).map { .string($0.name) }), "additionalProperties": false,
        ]
    }
}

extension ToolSpecification.Parameter {
    /// The type in a few words: `string`, `array of integer`, `one of "open", "closed"`, `object {city: string}`.
    public var typeText: String { schema.map { Self.words($0, depth: 0) } ?? type }

    private static func words(_ schema: JSONValue, depth: Int) -> String {
        guard depth < 4 else { return "…" }
        if let values = schema["enum"]?.array { return "one of \(values.map(\.jsonText).joined(separator: ", "))" }
        if let choices = schema["anyOf"]?.array {
            return choices.map { words($0, depth: depth + 1) }.joined(separator: " or ")
        }
        if let types = schema["type"]?.array { return types.map(\.text).joined(separator: " or ") }
        guard let type = schema["type"]?.string else { return "any" }
        if type == "array", let items = schema["items"] { return "array of \(words(items, depth: depth + 1))" }
        guard type == "object", let members = schema["properties"]?.object, !members.isEmpty else { return type }
        let required = Set((schema["required"]?.array ?? []).compactMap(\.string))
        let parts = members.sorted { $0.key < $1.key }.map { name, schema in
            "\(name)\(required.contains(name) ? "" : "?"): \(words(schema, depth: depth + 1))"
        }
        return "object {\(parts.joined(separator: ", "))}"
    }
}
