extension JSONSchema {
    /// The schema as JSON Schema 2020-12. Reading it gives the same schema again.
    public var json: JSONValue {
        switch self {
        case .any: [:]
        case .null: ["type": "null"]
        case .boolean: ["type": "boolean"]
        case .integer(let low, let high):
            Self.typed("integer", ["minimum": low.map(JSONValue.integer), "maximum": high.map(JSONValue.integer)])
        case .number(let range): Self.typed("number", range.keywords)
        case .string(let range): range.json
        case .constants(let values): ["enum": .array(values)]
        case .array(let array):
            Self.typed(
                "array",
                [
                    "items": array.items == .never ? false : array.items.json,
                    "prefixItems": array.prefix.isEmpty ? nil : .array(array.prefix.map(\.json)),
                    "minItems": array.minimum > 0 ? .integer(array.minimum) : nil,
                    "maxItems": array.maximum.map(JSONValue.integer),
                ])
        case .object(let schema):
            Self.typed(
                "object",
                [
                    "properties": .object(schema.properties.mapValues(\.json)),
                    "required": .array(schema.required.sorted().map(JSONValue.string)),
                    "additionalProperties": schema.others.map { $0 == .any ? true : $0.json } ?? false,
                ])
        case .anyOf(let choices): choices.isEmpty ? false : ["anyOf": .array(choices.map(\.json))]
        case .implied(let schema):
            .object((schema.json.object ?? [:]).filter { $0.key != "type" })
        case .reference(let name): ["$ref": .string("#/$defs/" + Self.pointer(name))]
        case .scoped(let schema, let definitions):
            .object(
                (schema.json.object ?? [:]).merging(["$defs": .object(definitions.mapValues(\.json))]) { own, _ in own }
            )
        }
    }

    /// A name as a part of a JSON pointer in an address (RFC 6901, section 6).
    private static func pointer(_ name: String) -> String {
        let escaped = name.replacing("~", with: "~0").replacing("/", with: "~1")
        return escaped.unicodeScalars.map { scalar in
            let isPlain =
                scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789-._~".unicodeScalars.contains(scalar))
            return isPlain
                ? String(scalar)
                : String(scalar).utf8.map {
                    "%" + String($0 >> 4, radix: 16, uppercase: true)
                        + String($0 & 15, radix: 16, uppercase: true)
                }.joined()
        }.joined()
    }

    fileprivate static func typed(_ name: String, _ keywords: [String: JSONValue?]) -> JSONValue {
        .object(keywords.compactMapValues { $0 }.merging(["type": .string(name)]) { $1 })
    }
}

extension JSONSchema.NumberRange {
    fileprivate var keywords: [String: JSONValue?] {
        [
            excludesMinimum ? "exclusiveMinimum" : "minimum": low?.json,
            excludesMaximum ? "exclusiveMaximum" : "maximum": high?.json,
        ]
    }
}

extension JSONSchema.TextRange {
    fileprivate var json: JSONValue {
        var keywords: [String: JSONValue?] = [
            "minLength": minimumLength > 0 ? .integer(minimumLength) : nil,
            "maxLength": maximumLength.map(JSONValue.integer),
        ]
        var more: [JSONValue] = []
        for pattern in patterns {
            let (key, value) = (pattern.keyword.rawValue, JSONValue.string(pattern.value))
            // A keyword stands once in an object.
            if keywords.keys.contains(key) { more.append([key: value]) } else { keywords[key] = value }
        }
        if !more.isEmpty { keywords["allOf"] = .array(more) }
        return JSONSchema.typed("string", keywords)
    }
}
