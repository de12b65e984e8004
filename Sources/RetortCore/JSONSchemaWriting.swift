extension JSONSchema {
    /// The schema as JSON Schema 2020-12. Reading it gives the same schema again.
    public var json: JSONValue {
        switch self {
        case .any: [:]
        case .null: ["type": "null"]
        case .boolean: ["type": "boolean"]
        case .integer(let low, let high):
            Self.typed("integer", ["minimum": low.map(JSONValue.integer), "maximum": high.map(JSONValue.integer)])
        case .number(let low, let high):
            Self.typed("number", ["minimum": low.map(JSONValue.number), "maximum": high.map(JSONValue.number)])
        case .string(let limit): Self.typed("string", ["maxLength": limit.map(JSONValue.integer)])
        case .constants(let values): ["enum": .array(values)]
        case .array(let element, let low, let high):
            Self.typed(
                "array",
                [
                    "items": element.json, "minItems": low > 0 ? .integer(low) : nil,
                    "maxItems": high.map(JSONValue.integer),
                ])
        case .object(let schema):
            Self.typed(
                "object",
                [
                    "properties": .object(schema.properties.mapValues(\.json)),
                    "required": .array(schema.required.sorted().map(JSONValue.string)),
                    "additionalProperties": schema.others.map { $0 == .any ? true : $0.json } ?? false,
                ])
        case .anyOf(let choices): ["anyOf": .array(choices.map(\.json))]
        }
    }

    private static func typed(_ name: String, _ keywords: [String: JSONValue?]) -> JSONValue {
        .object(keywords.compactMapValues { $0 }.merging(["type": .string(name)]) { $1 })
    }
}
