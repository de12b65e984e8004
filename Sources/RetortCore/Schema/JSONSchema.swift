/// A JSON schema, as far as the arguments of APIs and the models of pydantic use them (JSON Schema 2020-12: `type`, `enum`,
/// `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`, `minItems`, `maxItems`, `minimum`,
/// `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `minLength`, `maxLength`, `pattern`, `format`, `anyOf`, `allOf`, `oneOf`
/// where its choices exclude each other, `$ref` within the document; OpenAPI's `nullable`).
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
    case number(NumberRange)
    case string(TextRange)
    /// One of these values.
    case constants([JSONValue])
    case array(ArraySchema)
    case object(ObjectSchema)
    /// At least one of these; none of no value at all.
    case anyOf([JSONSchema])
    /// Values of the schema's kind are held to it, others are free: what keywords say that stand without a `type`.
    case implied(JSONSchema)
    /// A schema by its name, in the definitions around it.
    case reference(String)
    /// A schema and those that it and they refer to.
    case scoped(JSONSchema, definitions: [String: JSONSchema])

    /// Bounds of a number.
    public struct NumberRange: Sendable, Hashable {
        var low: NumberBound?
        var high: NumberBound?
        /// The smallest number; nil is no limit.
        public var minimum: Double? {
            get { low?.value }
            set { low = newValue.map { NumberBound($0) } }
        }
        /// The largest number; nil is no limit.
        public var maximum: Double? {
            get { high?.value }
            set { high = newValue.map { NumberBound($0) } }
        }
        /// Whether the minimum itself is left out.
        public var excludesMinimum = false
        /// Whether the maximum itself is left out.
        public var excludesMaximum = false

        /// All numbers between two limits. A limit that is not there leaves nothing out.
        public init(
            minimum: Double? = nil, maximum: Double? = nil, excludesMinimum: Bool = false, excludesMaximum: Bool = false
        ) {
            low = minimum.map { NumberBound($0) }
            high = maximum.map { NumberBound($0) }
            self.excludesMinimum = excludesMinimum && minimum != nil
            self.excludesMaximum = excludesMaximum && maximum != nil
        }
    }

    /// How long a text is, in Unicode scalars, and what it looks like.
    public struct TextRange: Sendable, Hashable {
        /// The fewest scalars.
        public var minimumLength = 0
        /// The most scalars; nil is no limit.
        public var maximumLength: Int?
        /// All of them hold.
        public var patterns: [TextPattern] = []

        /// Texts of these lengths in which every pattern is found. The order of the patterns does not matter.
        public init(minimumLength: Int = 0, maximumLength: Int? = nil, patterns: [TextPattern] = []) {
            self.minimumLength = minimumLength
            self.maximumLength = maximumLength
            self.patterns = Set(patterns).sorted()
        }
    }

    /// The elements of a list.
    public struct ArraySchema: Sendable, Hashable {
        /// Of the first elements, one by one.
        public var prefix: [JSONSchema] = []
        /// Of all others.
        public var items: JSONSchema
        /// The fewest.
        public var minimum = 0
        /// The most; nil for any number.
        public var maximum: Int?

        /// - Parameters:
        ///   - items: of each element behind the prefix.
        ///   - prefix: of the first elements, one each.
        ///   - minimum: the fewest elements.
        ///   - maximum: the most; nil for any number.
        public init(of items: JSONSchema, prefix: [JSONSchema] = [], minimum: Int = 0, maximum: Int? = nil) {
            self.items = items
            self.prefix = prefix
            self.minimum = minimum
            self.maximum = maximum
        }

        func schema(at index: Int) -> JSONSchema { index < prefix.count ? prefix[index] : items }
    }

    /// The members of an object.
    public struct ObjectSchema: Sendable, Hashable {
        /// By name; what is required is always among them.
        public var properties: [String: JSONSchema]
        /// Names that must be there.
        public var required: Set<String>
        /// What members that are not named may be; nil when there must be none.
        public var others: JSONSchema?

        /// - Parameter others: of members that are not named; nil allows none.
        public init(properties: [String: JSONSchema], required: Set<String>, others: JSONSchema? = nil) {
            self.properties = properties
            self.required = required
            self.others = others
            for name in required where properties[name] == nil { self.properties[name] = others ?? .never }
        }

        func schema(of name: String) -> JSONSchema { properties[name] ?? others ?? .never }
    }

    /// Any object at all.
    public static let anyObject = JSONSchema.object(ObjectSchema(properties: [:], required: [], others: .any))

    /// No value.
    public static let never = JSONSchema.anyOf([])

    /// A number within bounds, ends included.
    public static func number(minimum: Double?, maximum: Double?) -> JSONSchema {
        .number(NumberRange(minimum: minimum, maximum: maximum))
    }

    /// A text of at most so many Unicode scalars.
    public static func string(maximumLength: Int?) -> JSONSchema { .string(TextRange(maximumLength: maximumLength)) }

    /// A list of so many elements.
    public static func array(of items: JSONSchema, minimum: Int, maximum: Int?) -> JSONSchema {
        .array(ArraySchema(of: items, minimum: minimum, maximum: maximum))
    }

    /// Reads a schema.
    /// - Throws: `JSONSchemaError` for a keyword that would be ignored, or one of a wrong type.
    public init(_ json: JSONValue) throws { self = try JSONSchemaReader(json).schema() }
}

/// The types of JSON, `integer` being a kind of number.
enum JSONKind: CaseIterable {
    case null, boolean, number, string, array, object

    /// Everything of the kind.
    var schema: JSONSchema {
        switch self {
        case .null: .null
        case .boolean: .boolean
        case .number: .number(.init())
        case .string: .string(.init())
        case .array: .array(.init(of: .any))
        case .object: .anyObject
        }
    }
}

extension JSONSchema {
    /// The one kind of value that it allows; nil for those that allow several, or that depend on others.
    var kind: JSONKind? {
        switch self {
        case .null: .null
        case .boolean: .boolean
        case .integer, .number: .number
        case .string: .string
        case .array: .array
        case .object: .object
        case .any, .constants, .anyOf, .implied, .reference, .scoped: nil
        }
    }
}

/// A schema that cannot be used.
public enum JSONSchemaError: Error, CustomStringConvertible, Equatable {
    case malformed(String, String)
    case unsupported(String, keyword: String)
    /// One name in two spellings that Swift takes for one, composed and decomposed.
    case spelledTwice(String, String)
    /// Choices of a `oneOf` of which two may hold at once.
    case overlapping(String, Int, Int)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .malformed(let path, let reason): "the JSON schema at \(path): \(reason)"
        case .unsupported(let path, let keyword):
            "the JSON schema at \(path): '\(keyword)' is not supported; state the constraint in another way, or leave it out"
        case .spelledTwice(let path, let name):
            "the JSON schema at \(path): it names '\(name)' in two spellings of Unicode, composed and decomposed; use one"
        case .overlapping(let path, let first, let second):
            "the JSON schema at \(path): a value may be valid against choices \(first) and \(second) at once; use 'anyOf', or "
                + "tell them apart by a constant that both require"
        }
    }
}
