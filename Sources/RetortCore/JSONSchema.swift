/// A JSON schema, as far as the arguments of APIs use them (JSON Schema 2020-12: `type`, `enum`, `const`, `properties`,
/// `required`, `additionalProperties`, `items`, `minItems`, `maxItems`, `minimum`, `maximum`, `maxLength`, `anyOf`).
///
/// There is no kept library for Swift that also says what may come next in a text, which constrained decoding needs; the
/// meaning is checked against the PyPI package `jsonschema`.
public indirect enum JSONSchema: Sendable, Hashable {
    /// Any value.
    case any
    case null
    case boolean
    /// A whole number within bounds, ends included.
    case integer(minimum: Int?, maximum: Int?)
    /// A number within bounds, ends included.
    case number(minimum: Double?, maximum: Double?)
    /// A text of at most so many Unicode scalars.
    case string(maximumLength: Int?)
    /// One of these values.
    case constants([JSONValue])
    case array(of: JSONSchema, minimum: Int, maximum: Int?)
    case object(ObjectSchema)
    case anyOf([JSONSchema])

    /// The members of an object.
    public struct ObjectSchema: Sendable, Hashable {
        /// By name.
        public var properties: [String: JSONSchema]
        public var required: Set<String>
        /// What members that are not named may be; nil when there must be none.
        public var others: JSONSchema?

        public init(properties: [String: JSONSchema], required: Set<String>, others: JSONSchema? = nil) {
            self.properties = properties
            self.required = required
            self.others = others
        }
    }

    /// Any object at all.
    public static let anyObject = JSONSchema.object(ObjectSchema(properties: [:], required: [], others: .any))

    /// Notes that do not change which values are valid.
    private static let annotations: Set<String> = [
        "title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "format", "deprecated",
        "readOnly", "writeOnly", "nullable",
    ]

    /// Reads a schema.
    /// - Throws: `JSONSchemaError` for a keyword that would be ignored, or one of a wrong type.
    public init(_ json: JSONValue) throws { try self.init(json, at: "#") }

    private init(_ json: JSONValue, at path: String) throws {
        if case .bool(let allowed) = json {
            self = allowed ? .any : .anyOf([])
            return
        }
        guard let fields = json.object else {
            throw JSONSchemaError.malformed(path, "it is neither an object nor true")
        }
        let known: Set<String> = [
            "type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems", "maxItems",
            "minimum", "maximum", "maxLength", "anyOf",
        ]
        if let stray = fields.keys.filter({ !known.contains($0) && !Self.annotations.contains($0) }).min() {
            throw JSONSchemaError.unsupported(path, keyword: stray)
        }
        if let constants = fields["enum"]?.array {
            self = .constants(constants)
        } else if let constant = fields["const"] {
            self = .constants([constant])
        } else if let choices = fields["anyOf"]?.array {
            self = .anyOf(try choices.enumerated().map { try Self($1, at: "\(path)/anyOf/\($0)") })
        } else if let types = fields["type"]?.array {
            self = .anyOf(try types.map { try Self.typed($0.string ?? "", fields, at: path) })
        } else if let type = fields["type"]?.string {
            self = try Self.typed(type, fields, at: path)
        } else {
            self = fields["properties"] == nil ? .any : try Self.typed("object", fields, at: path)
        }
    }

    private static func typed(_ type: String, _ fields: [String: JSONValue], at path: String) throws -> Self {
        func count(_ key: String) throws -> Int? {
            guard let value = fields[key] else { return nil }
            guard case .integer(let count) = value, count >= 0 else {
                throw JSONSchemaError.malformed("\(path)/\(key)", "it is not a count")
            }
            return count
        }
        func bound(_ key: String) throws -> Double? {
            switch fields[key] {
            case nil: return nil
            case .integer(let value): return Double(value)
            case .number(let value): return value
            default: throw JSONSchemaError.malformed("\(path)/\(key)", "it is not a number")
            }
        }
        switch type {
        case "null": return .null
        case "boolean": return .boolean
        case "string": return .string(maximumLength: try count("maxLength"))
        case "integer":
            return .integer(
                minimum: try bound("minimum").flatMap { Int(exactly: $0.rounded(.up)) },
                maximum: try bound("maximum").flatMap { Int(exactly: $0.rounded(.down)) })
        case "number": return .number(minimum: try bound("minimum"), maximum: try bound("maximum"))
        case "array":
            return .array(
                of: try fields["items"].map { try Self($0, at: "\(path)/items") } ?? .any,
                minimum: try count("minItems") ?? 0, maximum: try count("maxItems"))
        case "object":
            let properties = fields["properties"]?.object ?? [:]
            return .object(
                ObjectSchema(
                    properties: try Dictionary(
                        uniqueKeysWithValues: properties.map {
                            ($0.key, try Self($0.value, at: "\(path)/properties/\($0.key)"))
                        }),
                    required: Set((fields["required"]?.array ?? []).compactMap(\.string)),
                    others: try others(fields["additionalProperties"], at: path)))
        default: throw JSONSchemaError.malformed("\(path)/type", "there is no type '\(type)'")
        }
    }

    private static func others(_ json: JSONValue?, at path: String) throws -> JSONSchema? {
        switch json {
        case .bool(false): nil
        case .bool(true), nil: .any
        case .some(let schema): try Self(schema, at: "\(path)/additionalProperties")
        }
    }
}

extension JSONSchema {
    /// The first reason why a value is not valid, with its place; nil when it is.
    public func fault(in value: JSONValue, at path: String = "") -> String? {
        let place = path.isEmpty ? "the value" : "'\(path)'"
        switch (self, value) {
        case (.any, _), (.null, .null), (.boolean, .bool): return nil
        case (.integer(let low, let high), .integer(let number)):
            return Self.fault(Double(number), low.map(Double.init), high.map(Double.init), place)
        case (.integer(let low, let high), .number(let number)) where number == number.rounded():
            return Self.fault(number, low.map(Double.init), high.map(Double.init), place)
        case (.number(let low, let high), .integer(let number)): return Self.fault(Double(number), low, high, place)
        case (.number(let low, let high), .number(let number)): return Self.fault(number, low, high, place)
        case (.string(let limit), .string(let text)):
            guard let limit, text.unicodeScalars.count > limit else { return nil }
            return "\(place) is longer than \(limit) characters"
        case (.constants(let constants), _):
            if constants.contains(value) { return nil }
            return "\(place) must be one of \(constants.map(\.jsonText).joined(separator: ", "))"
        case (.array(let element, let low, let high), .array(let elements)):
            guard elements.count >= low, elements.count <= high ?? .max else {
                return "\(place) has \(elements.count) elements"
            }
            return elements.enumerated().lazy.compactMap { element.fault(in: $1, at: "\(path)[\($0)]") }.first
        case (.object(let schema), .object(let members)): return Self.fault(members, schema, path)
        case (.anyOf(let choices), _):
            let faults = choices.map { $0.fault(in: value, at: path) }
            return faults.contains(nil) ? nil : faults.first.flatMap(\.self) ?? "nothing is allowed for \(place)"
        default: return "\(place) must be \(kind)"
        }
    }

    private static func fault(_ number: Double, _ low: Double?, _ high: Double?, _ place: String) -> String? {
        if let low, number < low { return "\(place) must be at least \(JSONValue.number(low).text)" }
        if let high, number > high { return "\(place) must be at most \(JSONValue.number(high).text)" }
        return nil
    }

    private static func fault(
        _ members: [String: JSONValue], _ schema: ObjectSchema, _ path: String
    ) -> String? {
        if let missing = schema.required.filter({ members[$0] == nil }).min() { return "'\(missing)' is missing" }
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            let inner = path.isEmpty ? name : "\(path).\(name)"
            guard let expected = schema.properties[name] ?? schema.others else { return "there is no '\(inner)'" }
            if let fault = expected.fault(in: value, at: inner) { return fault }
        }
        return nil
    }

    private var kind: String {
        switch self {
        case .any: "anything"
        case .null: "null"
        case .boolean: "true or false"
        case .integer: "a whole number"
        case .number: "a number"
        case .string: "a text"
        case .constants: "one of its constants"
        case .array: "a list"
        case .object: "an object"
        case .anyOf(let choices): choices.map(\.kind).joined(separator: " or ")
        }
    }
}

/// A schema that cannot be used.
public enum JSONSchemaError: Error, CustomStringConvertible, Equatable {
    case malformed(String, String)
    case unsupported(String, keyword: String)

    public var description: String {
        switch self {
        case .malformed(let path, let reason): "the JSON schema at \(path): \(reason)"
        case .unsupported(let path, let keyword):
            "the JSON schema at \(path): '\(keyword)' is not supported; state the constraint in another way, or leave it out"
        }
    }
}
