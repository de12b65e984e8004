/// What holds when two schemas hold at once, and whether anything does.
struct JSONSchemaMerger {
    /// By name; nil is not known yet.
    var definitions: [String: JSONSchema?]
    private var work = 0
    private var depth = 0

    /// The most schemas that are looked at for one document.
    private static let mostWork = 200_000
    private static let mostChoices = 1024
    private static let deepest = 200

    init(definitions: [String: JSONSchema?]) { self.definitions = definitions }

    /// The schema of values that are valid against both.
    /// - Throws: `JSONSchemaError` when it would be too large, or needs a definition that is still being read.
    mutating func meet(_ left: JSONSchema, _ right: JSONSchema, at path: String) throws -> JSONSchema {
        work += 1
        depth += 1
        defer { depth -= 1 }
        guard work <= Self.mostWork, depth <= Self.deepest else {
            throw JSONSchemaError.malformed(path, "what must hold at once is too large to be put together")
        }
        switch (left, right) {
        case (.any, let schema), (let schema, .any): return schema
        case _ where left == right: return left
        case (.constants(let values), let schema), (let schema, .constants(let values)):
            return .constants(try values.filter { try accepts(schema, $0, at: path) })
        case (.anyOf(let choices), let schema): return try any(choices.map { try meet($0, schema, at: path) }, at: path)
        case (let schema, .anyOf(let choices)): return try any(choices.map { try meet(schema, $0, at: path) }, at: path)
        case (.reference(let first), .reference(let second)): return try meet(first, second, at: path)
        case (.reference(let name), let schema): return try meet(definition(name, at: path), schema, at: path)
        case (let schema, .reference(let name)): return try meet(schema, definition(name, at: path), at: path)
        case (.implied(let first), .implied(let second)):
            if first.kind == second.kind { return .implied(try leaves(first, second, at: path)) }
            return try meet(.anyOf(JSONKind.allCases.map { $0 == first.kind ? first : $0.schema }), right, at: path)
        case (.implied(let held), let schema), (let schema, .implied(let held)):
            return held.kind == schema.kind ? try leaves(held, schema, at: path) : schema
        default: return try leaves(left, right, at: path)
        }
    }

    private func any(_ choices: [JSONSchema], at path: String) throws -> JSONSchema {
        let left = choices.flatMap(\.choices).filter { $0 != .constants([]) }
        guard left.count <= Self.mostChoices else {
            throw JSONSchemaError.malformed(path, "it has more than \(Self.mostChoices) choices")
        }
        return left.count == 1 ? left[0] : .anyOf(left)
    }

    private func definition(_ name: String, at path: String) throws -> JSONSchema {
        guard let schema = definitions[name] ?? nil else {
            throw JSONSchemaError.unsupported(path, keyword: "$ref to '\(name)' within itself, beside other keywords,")
        }
        return schema
    }

    /// Two definitions at once are one of their own, so that recursion ends.
    private mutating func meet(_ first: String, _ second: String, at path: String) throws -> JSONSchema {
        let name = [first, second].sorted().joined(separator: " & ")
        if !definitions.keys.contains(name) {
            let (left, right) = (try definition(first, at: path), try definition(second, at: path))
            definitions[name] = .some(nil)
            definitions[name] = try meet(left, right, at: path)
        }
        return .reference(name)
    }

    private func accepts(_ schema: JSONSchema, _ value: JSONValue, at path: String) throws -> Bool {
        if let open = schema.references.first(where: { (definitions[$0] ?? nil) == nil }) {
            _ = try definition(open, at: path)
        }
        return JSONSchema.scoped(schema, definitions: definitions.compactMapValues { $0 }).fault(in: value) == nil
    }

    private mutating func leaves(_ left: JSONSchema, _ right: JSONSchema, at path: String) throws -> JSONSchema {
        switch (left, right) {
        case (.null, .null), (.boolean, .boolean): return left
        case (.integer(let low, let high), .integer(let otherLow, let otherHigh)):
            return .integer(
                minimum: low.map { max($0, otherLow ?? $0) } ?? otherLow,
                maximum: high.map { min($0, otherHigh ?? $0) } ?? otherHigh)
        case (.integer, .number(let range)): return try leaves(left, Self.whole(range, at: path), at: path)
        case (.number(let range), .integer): return try leaves(Self.whole(range, at: path), right, at: path)
        case (.number(let first), .number(let second)): return .number(first.meeting(second))
        case (.string(let first), .string(let second)):
            return .string(
                .init(
                    minimumLength: max(first.minimumLength, second.minimumLength),
                    maximumLength: [first.maximumLength, second.maximumLength].compactMap { $0 }.min(),
                    patterns: first.patterns + second.patterns))
        case (.array(let first), .array(let second)):
            let prefix = try (0..<max(first.prefix.count, second.prefix.count)).map {
                try meet(first.schema(at: $0), second.schema(at: $0), at: path)
            }
            return .array(
                .init(
                    of: try meet(first.items, second.items, at: path), prefix: prefix,
                    minimum: max(first.minimum, second.minimum),
                    maximum: [first.maximum, second.maximum].compactMap { $0 }.min()))
        case (.object(let first), .object(let second)): return .object(try meet(first, second, at: path))
        default: return .never
        }
    }

    private mutating func meet(
        _ first: JSONSchema.ObjectSchema, _ second: JSONSchema.ObjectSchema, at path: String
    ) throws -> JSONSchema.ObjectSchema {
        var properties: [String: JSONSchema] = [:]
        for name in Set(first.properties.keys).union(second.properties.keys).sorted() {
            properties[name] = try meet(first.schema(of: name), second.schema(of: name), at: path)
        }
        var others: JSONSchema?
        if let left = first.others, let right = second.others { others = try meet(left, right, at: path) }
        return JSONSchema.ObjectSchema(
            properties: properties, required: first.required.union(second.required), others: others)
    }

    private static func whole(_ range: JSONSchema.NumberRange, at path: String) throws -> JSONSchema {
        func integer(_ value: Double) throws -> Int {
            guard let integer = Int(exactly: value) else {
                throw JSONSchemaError.malformed(path, "a bound does not fit 64 bits")
            }
            return integer
        }
        let low = try range.minimum.map { bound in
            try integer(range.excludesMinimum ? bound.rounded(.down) + 1 : bound.rounded(.up))
        }
        let high = try range.maximum.map { bound in
            try integer(range.excludesMaximum ? bound.rounded(.up) - 1 : bound.rounded(.down))
        }
        return .integer(minimum: low, maximum: high)
    }

    // MARK: Satisfiable

    /// Whether some value is valid; true where that is not found out.
    func isSatisfiable(_ schema: JSONSchema) -> Bool {
        var known: Set<String> = []
        while true {
            let more = definitions.filter { name, definition in
                !known.contains(name) && (definition.map { isSatisfiable($0, known) } ?? true)
            }
            if more.isEmpty { return isSatisfiable(schema, known) }
            known.formUnion(more.keys)
        }
    }

    private func isSatisfiable(_ schema: JSONSchema, _ known: Set<String>) -> Bool {
        switch schema {
        case .any, .null, .boolean, .implied, .scoped: return true
        case .integer(let low, let high): return low ?? .min <= high ?? .max
        case .number(let range): return !range.isEmpty
        case .string(let range): return range.isSatisfiable
        case .constants(let values): return !values.isEmpty
        case .array(let array):
            guard array.minimum <= array.maximum ?? .max else { return false }
            if array.minimum > array.prefix.count, !isSatisfiable(array.items, known) { return false }
            return array.prefix.prefix(array.minimum).allSatisfy { isSatisfiable($0, known) }
        case .object(let object):
            return object.required.allSatisfy { isSatisfiable(object.schema(of: $0), known) }
        case .anyOf(let choices): return choices.contains { isSatisfiable($0, known) }
        case .reference(let name): return known.contains(name)
        }
    }
}

extension JSONSchema.NumberRange {
    var isEmpty: Bool {
        guard let minimum, let maximum else { return false }
        return minimum > maximum || (minimum == maximum && (excludesMinimum || excludesMaximum))
    }

    func contains(_ number: Double) -> Bool {
        if let minimum, excludesMinimum ? number <= minimum : number < minimum { return false }
        if let maximum, excludesMaximum ? number >= maximum : number > maximum { return false }
        return true
    }

    fileprivate func meeting(_ other: Self) -> Self {
        var range = self
        if let low = other.minimum, low >= minimum ?? low {
            range.excludesMinimum = other.excludesMinimum || (low == minimum && excludesMinimum)
            range.minimum = low
        }
        if let high = other.maximum, high <= maximum ?? high {
            range.excludesMaximum = other.excludesMaximum || (high == maximum && excludesMaximum)
            range.maximum = high
        }
        return range
    }
}

extension JSONSchema.TextRange {
    /// How many scalars more than its least a text may need for its patterns.
    private static let slack = 1024

    fileprivate var isSatisfiable: Bool {
        guard minimumLength <= maximumLength ?? .max else { return false }
        guard let first = patterns.first?.automaton else { return true }
        do {
            let all = try patterns.dropFirst().reduce(first) { try PatternAutomaton($0, and: $1.automaton) }
            guard !all.isEmpty else { return false }
            let limit = min(maximumLength ?? .max, minimumLength + all.isAccepting.count + Self.slack)
            return try all.completions(upTo: limit)[minimumLength...].contains { $0[0] }
        } catch {
            return true
        }
    }
}
