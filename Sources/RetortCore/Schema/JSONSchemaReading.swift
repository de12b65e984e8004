import Foundation

/// Reads a schema and what it refers to.
final class JSONSchemaReader {
    private let root: JSONValue
    /// By name; nil is being read.
    private var definitions: [String: JSONSchema?] = [:]
    /// Those names, by the bytes of the references.
    private var names: [[UInt8]: String] = [:]
    /// Choices that must exclude each other, to be looked at when all definitions are known.
    private var exclusive: [(path: String, choices: [JSONSchema])] = []
    private var count = 0
    private var budget = WorkBudget.document

    private static let mostSchemas = 20_000
    private static let deepest = 200
    private static let mostChoices = 64
    private static let mostCount = Double(sign: .plus, exponent: 63, significand: 1)

    /// Notes that do not change which values are valid.
    private static let annotations: Set<String> = [
        "title", "description", "default", "examples", "example", "$schema", "$comment", "deprecated", "readOnly",
        "writeOnly", "discriminator", "externalDocs", "xml", "$defs", "definitions",
    ]

    private static let keywords: [JSONKind: Set<String>] = [
        .number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
        .string: ["minLength", "maxLength", "pattern", "format"],
        .array: ["items", "prefixItems", "minItems", "maxItems"],
        .object: ["properties", "required", "additionalProperties"],
    ]

    private static let known: Set<String> = keywords.values.reduce([
        "type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "nullable",
    ]) { $0.union($1) }

    init(_ json: JSONValue) { root = json }

    func schema() throws -> JSONSchema {
        let schema = try read(root, at: "#", depth: 0)
        try checkExclusive()
        let reachable = Self.reachable(from: schema, definitions.compactMapValues { $0 })
        return reachable.isEmpty ? schema : .scoped(schema, definitions: reachable)
    }

    /// Refuses choices of which two may hold at once.
    private func checkExclusive() throws {
        var merger = JSONSchemaMerger(definitions: definitions, budget: budget)
        for (path, choices) in exclusive {
            for second in choices.indices {
                for first in 0..<second {
                    let both = try merger.meet(choices[first], choices[second], at: path)
                    let isPossible = merger.isSatisfiable(both)
                    guard !merger.budget.isSpent else {
                        throw JSONSchemaError.malformed(path, "its choices take too long to be compared")
                    }
                    if isPossible { throw JSONSchemaError.overlapping(path, first, second) }
                }
            }
        }
    }

    private static func reachable(
        from schema: JSONSchema, _ definitions: [String: JSONSchema]
    ) -> [String: JSONSchema] {
        var found: [String: JSONSchema] = [:]
        var work = [schema]
        while let next = work.popLast() {
            for name in next.references where found[name] == nil {
                guard let definition = definitions[name] else { continue }
                found[name] = definition
                work.append(definition)
            }
        }
        return found
    }

    // MARK: One schema

    private func read(_ json: JSONValue, at path: String, depth: Int) throws -> JSONSchema {
        count += 1
        guard count <= Self.mostSchemas, depth <= Self.deepest, !budget.isSpent else {
            throw JSONSchemaError.malformed(path, "the schema is too large, or nested too deeply")
        }
        if case .bool(let allowed) = json { return allowed ? .any : .never }
        guard let fields = json.object else {
            throw JSONSchemaError.malformed(path, "it is neither an object nor true or false")
        }
        let harmless = path == "#" ? Self.annotations.union(["$id"]) : Self.annotations
        if let stray = fields.keys.filter({ !Self.known.contains($0) && !harmless.contains($0) && !$0.hasPrefix("x-") })
            .min()
        {
            throw JSONSchemaError.unsupported(path, keyword: stray)
        }
        let schema = try together(typed(fields, at: path, depth), combined(fields, at: path, depth), at: path)
        switch fields["nullable"] {
        case nil, .bool(false): return schema
        case .bool(true): return schema == .any || schema == .null ? schema : .anyOf(schema.choices + [.null])
        default: throw JSONSchemaError.malformed("\(path)/nullable", "it is neither true nor false")
        }
    }

    /// A schema that holds with all of some others.
    private func together(_ first: JSONSchema, _ others: [JSONSchema], at path: String) throws -> JSONSchema {
        guard !others.isEmpty else { return first }
        var merger = JSONSchemaMerger(definitions: definitions, budget: budget)
        let schema = try others.reduce(first) { try merger.meet($0, $1, at: path) }
        (definitions, budget) = (merger.definitions, merger.budget)
        return schema
    }

    /// What the keywords say that speak of a type.
    private func typed(_ fields: [String: JSONValue], at path: String, _ depth: Int) throws -> JSONSchema {
        try checkFormat(fields, at: path)
        switch fields["type"] {
        case .string(let type): return try self.type(type, fields, at: path, depth)
        case .array(let types):
            let schemas = try types.map { type in
                guard let name = type.string else {
                    throw JSONSchemaError.malformed("\(path)/type", "it is no name of a type")
                }
                return try self.type(name, fields, at: path, depth)
            }
            guard !schemas.isEmpty else { throw JSONSchemaError.malformed("\(path)/type", "it names no type") }
            return .anyOf(schemas)
        case nil: break
        default: throw JSONSchemaError.malformed("\(path)/type", "it is no name of a type")
        }
        let spoken = JSONKind.allCases.filter { kind in
            Self.keywords[kind].map { !$0.isDisjoint(with: fields.keys) } ?? false
        }
        guard let first = spoken.first else { return .any }
        func schema(_ kind: JSONKind) throws -> JSONSchema { try self.type("\(kind)", fields, at: path, depth) }
        if spoken.count == 1 {
            let held = try schema(first)
            return held == first.schema ? .any : .implied(held)
        }
        return .anyOf(try JSONKind.allCases.map { spoken.contains($0) ? try schema($0) : $0.schema })
    }

    /// What must hold besides.
    private func combined(_ fields: [String: JSONValue], at path: String, _ depth: Int) throws -> [JSONSchema] {
        func schemas(_ key: String) throws -> [JSONSchema]? {
            guard let value = fields[key] else { return nil }
            guard let list = value.array, !list.isEmpty else {
                throw JSONSchemaError.malformed("\(path)/\(key)", "it is no list of at least one schema")
            }
            return try list.enumerated().map { try read($1, at: "\(path)/\(key)/\($0)", depth: depth + 1) }
        }
        var parts: [JSONSchema] = []
        if let reference = fields["$ref"] { parts.append(try self.reference(reference, at: path, depth)) }
        if let values = fields["enum"] {
            guard let values = values.array else {
                throw JSONSchemaError.malformed("\(path)/enum", "it is no list of values")
            }
            parts.append(.constants(values))
        }
        if let value = fields["const"] { parts.append(.constants([value])) }
        parts += try schemas("allOf") ?? []
        if let choices = try schemas("anyOf") { parts.append(.anyOf(choices)) }
        if let choices = try schemas("oneOf") {
            guard choices.count <= Self.mostChoices else {
                throw JSONSchemaError.malformed("\(path)/oneOf", "it has more than \(Self.mostChoices) choices")
            }
            exclusive.append(("\(path)/oneOf", choices))
            parts.append(.anyOf(choices))
        }
        return parts
    }

    // MARK: References

    private func reference(_ json: JSONValue, at path: String, _ depth: Int) throws -> JSONSchema {
        guard let text = json.string, let pointer = text.removingPercentEncoding else {
            throw JSONSchemaError.malformed("\(path)/$ref", "it is no reference")
        }
        guard pointer == "#" || pointer.hasPrefix("#/") else {
            throw JSONSchemaError.unsupported(path, keyword: "$ref: \(text)")
        }
        if let known = names[Array(pointer.utf8)] { return .reference(known) }
        var target = root
        var steps: [String] = []
        for part in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            let step = String(part).replacing("~1", with: "/").replacing("~0", with: "~")
            guard let next = target.object?.spelled(step) ?? Int(step).flatMap({ target.array?[at: $0] }) else {
                throw JSONSchemaError.malformed("\(path)/$ref", "there is nothing at '\(text)'")
            }
            target = next
            steps.append(step)
        }
        var name = pointer
        if steps.count == 2, ["$defs", "definitions"].contains(steps[0]), definitions[steps[1]] == nil {
            name = steps[1]
        }
        names[Array(pointer.utf8)] = name
        definitions[name] = .some(nil)
        let schema = try read(target, at: pointer, depth: depth + 1)
        definitions[name] = schema
        return .reference(name)
    }

    // MARK: Formats

    private static let numberFormats: [String: Set<String>] = [
        "integer": ["int32", "int64"], "number": ["float", "double", "int32", "int64"],
    ]

    /// The names of the types that a schema allows; none where it names none.
    private static func types(_ fields: [String: JSONValue]) -> [String] {
        guard let type = fields["type"] else { return [] }
        return (type.array ?? [type]).compactMap(\.string)
    }

    /// Refuses a format that none of the schema's types has: it would be passed over.
    private func checkFormat(_ fields: [String: JSONValue], at path: String) throws {
        guard let format = fields["format"] else { return }
        guard let name = format.string else { throw JSONSchemaError.malformed("\(path)/format", "it is no text") }
        let types = Self.types(fields)
        let isKnown = types.contains { type in
            type == "string"
                ? TextPattern.formatNames.contains(name) : Self.numberFormats[type]?.contains(name) ?? false
        }
        guard isKnown || types.isEmpty else { throw JSONSchemaError.unsupported(path, keyword: "format: \(name)") }
    }

    private static func isFormat(_ name: String, ofNumbersIn fields: [String: JSONValue]) -> Bool {
        types(fields).contains { numberFormats[$0]?.contains(name) ?? false }
    }

    // MARK: Types

    private func type(
        _ type: String, _ fields: [String: JSONValue], at path: String, _ depth: Int
    ) throws -> JSONSchema {
        switch type {
        case "null": return .null
        case "boolean": return .boolean
        case "string": return .string(try text(fields, at: path))
        case "integer": return try whole(fields, at: path)
        case "number":
            // A format of whole numbers makes a number one (OpenAPI 3.1, section 4.4.1).
            let isWhole = ["int32", "int64"].contains(fields["format"]?.string)
            return isWhole ? try whole(fields, at: path) : .number(try number(fields, at: path))
        case "array": return .array(try array(fields, at: path, depth))
        case "object": return .object(try object(fields, at: path, depth))
        default: throw JSONSchemaError.malformed("\(path)/type", "there is no type '\(type)'")
        }
    }

    private func text(_ fields: [String: JSONValue], at path: String) throws -> JSONSchema.TextRange {
        func word(_ key: String) throws -> String? {
            guard let value = fields[key] else { return nil }
            guard let text = value.string else { throw JSONSchemaError.malformed("\(path)/\(key)", "it is no text") }
            return text
        }
        let pattern = try word("pattern").map { try TextPattern(pattern: $0, at: path) }
        budget.spend(pattern?.automaton.cost ?? 0)
        let format = try word("format").flatMap { name in
            // Beside a number's type a number's format says nothing of texts.
            Self.isFormat(name, ofNumbersIn: fields) ? nil : try TextPattern(format: name, at: path)
        }
        return JSONSchema.TextRange(
            minimumLength: try count("minLength", fields, at: path) ?? 0,
            maximumLength: try count("maxLength", fields, at: path), patterns: [pattern, format].compactMap { $0 })
    }

    private func number(_ fields: [String: JSONValue], at path: String) throws -> JSONSchema.NumberRange {
        func bound(_ key: String) throws -> NumberBound? {
            switch fields[key] {
            case nil: return nil
            case .bool:
                throw JSONSchemaError.malformed("\(path)/\(key)", "it is not a number, which it is since draft 6")
            case .some(let value):
                guard let number = NumberBound(value), number.value.isFinite else {
                    throw JSONSchemaError.malformed("\(path)/\(key)", "it is not a number")
                }
                return number
            }
        }
        var range = JSONSchema.NumberRange()
        (range.low, range.high) = (try bound("minimum"), try bound("maximum"))
        if let low = try bound("exclusiveMinimum"), low >= range.low ?? low {
            (range.low, range.excludesMinimum) = (low, true)
        }
        if let high = try bound("exclusiveMaximum"), high <= range.high ?? high {
            (range.high, range.excludesMaximum) = (high, true)
        }
        return range
    }

    private func whole(_ fields: [String: JSONValue], at path: String) throws -> JSONSchema {
        var range = try number(fields, at: path)
        if fields["format"]?.string == "int32" {
            range = range.meeting(.init(minimum: Double(Int32.min), maximum: Double(Int32.max)))
        }
        return try range.whole(at: path)
    }

    private func array(_ fields: [String: JSONValue], at path: String, _ depth: Int) throws -> JSONSchema.ArraySchema {
        var prefix: [JSONSchema] = []
        if let value = fields["prefixItems"] {
            guard let list = value.array else {
                throw JSONSchemaError.malformed("\(path)/prefixItems", "it is no list of schemas")
            }
            prefix = try list.enumerated().map { try read($1, at: "\(path)/prefixItems/\($0)", depth: depth + 1) }
        }
        return JSONSchema.ArraySchema(
            of: try fields["items"].map { try read($0, at: "\(path)/items", depth: depth + 1) } ?? .any, prefix: prefix,
            minimum: try count("minItems", fields, at: path) ?? 0, maximum: try count("maxItems", fields, at: path))
    }

    private func object(_ fields: [String: JSONValue], at path: String, _ depth: Int) throws -> JSONSchema.ObjectSchema
    {
        guard let properties = (fields["properties"] ?? [:]).object else {
            throw JSONSchemaError.malformed("\(path)/properties", "it is no object of schemas")
        }
        guard let names = (fields["required"] ?? []).array, names.allSatisfy({ $0.string != nil }) else {
            throw JSONSchemaError.malformed("\(path)/required", "it is no list of names")
        }
        if let name = (properties.keys + names.compactMap(\.string)).spelledTwice {
            throw JSONSchemaError.spelledTwice(path, name)
        }
        var schemas: [String: JSONSchema] = [:]
        for (name, value) in properties.sorted(by: { $0.key < $1.key }) {
            schemas[name] = try read(value, at: "\(path)/properties/\(name)", depth: depth + 1)
        }
        let others: JSONSchema? =
            switch fields["additionalProperties"] {
            case .bool(false): nil
            case nil: .any
            case .some(let schema): try read(schema, at: "\(path)/additionalProperties", depth: depth + 1)
            }
        return JSONSchema.ObjectSchema(properties: schemas, required: Set(names.compactMap(\.string)), others: others)
    }

    private func count(_ key: String, _ fields: [String: JSONValue], at path: String) throws -> Int? {
        guard let value = fields[key] else { return nil }
        // `2.0` is a count, too.
        guard let number = value.numeric, number >= 0, number == number.rounded(), number <= Self.mostCount else {
            throw JSONSchemaError.malformed("\(path)/\(key)", "it is no whole number from 0 to 2⁶³")
        }
        // Nothing is longer than this, and sums of counts must not overflow.
        return Int(min(number, Double(Int32.max)))
    }
}

extension JSONSchema {
    /// The schema as choices: those of `anyOf`, or itself.
    var choices: [JSONSchema] { if case .anyOf(let choices) = self { choices } else { [self] } }

    /// The names that it refers to itself.
    var references: Set<String> {
        switch self {
        case .reference(let name): [name]
        case .array(let array): array.prefix.reduce(array.items.references) { $0.union($1.references) }
        case .object(let object):
            object.properties.values.reduce(object.others?.references ?? []) { $0.union($1.references) }
        case .anyOf(let choices): choices.reduce([]) { $0.union($1.references) }
        case .implied(let schema): schema.references
        case .any, .null, .boolean, .integer, .number, .string, .constants, .scoped: []
        }
    }
}

extension JSONValue {
    /// The number inside; numbers beyond 64 bits are rounded.
    var numeric: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        case .object(let members) where members.count == 1: members["$int"]?.string.flatMap(Double.init)
        default: nil
        }
    }
}

extension Array {
    fileprivate subscript(at index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
