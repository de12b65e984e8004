/// What holds when two schemas hold at once, and whether anything does.
struct JSONSchemaMerger {
    /// By name; nil is not known yet.
    var definitions: [String: JSONSchema?]
    /// What may still be looked at for the document.
    private(set) var budget: WorkBudget
    private var depth = 0
    /// Definitions that some value is valid against.
    private var satisfiable: Set<String> = []
    /// How many definitions that was last found out for.
    private var judged = 0

    /// Two schemas that are put together, in units of the budget.
    private static let meetingCost = 32
    private static let mostChoices = 1024
    private static let deepest = 200

    init(definitions: [String: JSONSchema?], budget: WorkBudget) {
        (self.definitions, self.budget) = (definitions, budget)
    }

    /// The schema of values that are valid against both.
    /// - Throws: `JSONSchemaError` when it would be too large, or needs a definition that is still being read.
    mutating func meet(_ left: JSONSchema, _ right: JSONSchema, at path: String) throws -> JSONSchema {
        budget.spend(Self.meetingCost)
        depth += 1
        defer { depth -= 1 }
        guard !budget.isSpent, depth <= Self.deepest else {
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
        case (.integer, .number(let range)): return try leaves(left, range.whole(at: path), at: path)
        case (.number(let range), .integer): return try leaves(range.whole(at: path), right, at: path)
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
        let names = Array(first.properties.keys) + first.required + second.properties.keys + second.required
        if let name = names.spelledTwice { throw JSONSchemaError.spelledTwice(path, name) }
        var properties: [String: JSONSchema] = [:]
        for name in Set(first.properties.keys).union(second.properties.keys).sorted() {
            properties[name] = try meet(first.schema(of: name), second.schema(of: name), at: path)
        }
        var others: JSONSchema?
        if let left = first.others, let right = second.others { others = try meet(left, right, at: path) }
        return JSONSchema.ObjectSchema(
            properties: properties, required: first.required.union(second.required), others: others)
    }

    // MARK: Satisfiable

    /// Whether some value is valid; true where that is not found out.
    mutating func isSatisfiable(_ schema: JSONSchema) -> Bool {
        while judged < definitions.count {
            var hasChanged = false
            for (name, definition) in definitions where !satisfiable.contains(name) {
                guard definition.map({ isPossible($0) }) ?? true else { continue }
                satisfiable.insert(name)
                hasChanged = true
            }
            if !hasChanged { judged = definitions.count }
        }
        return isPossible(schema)
    }

    private mutating func isPossible(_ schema: JSONSchema) -> Bool {
        budget.spend(1)
        guard !budget.isSpent else { return true }
        switch schema {
        case .any, .null, .boolean, .implied, .scoped: return true
        case .integer(let low, let high): return low ?? .min <= high ?? .max
        case .number(let range): return !range.isEmpty
        case .string(let range): return range.isSatisfiable(&budget)
        case .constants(let values): return !values.isEmpty
        case .array(let array):
            guard array.minimum <= array.maximum ?? .max else { return false }
            if array.minimum > array.prefix.count, !isPossible(array.items) { return false }
            return array.prefix.prefix(array.minimum).allSatisfy { isPossible($0) }
        case .object(let object):
            return object.required.allSatisfy { isPossible(object.schema(of: $0)) }
        case .anyOf(let choices): return choices.contains { isPossible($0) }
        case .reference(let name): return satisfiable.contains(name)
        }
    }
}

extension JSONSchema.TextRange {
    /// How many scalars more than its least a text may need for its patterns.
    private static let slack = 1024

    fileprivate func isSatisfiable(_ budget: inout WorkBudget) -> Bool {
        guard minimumLength <= maximumLength ?? .max else { return false }
        guard let first = patterns.first?.automaton else { return true }
        do {
            var all = first
            for pattern in patterns.dropFirst() {
                all = try PatternAutomaton(all, and: pattern.automaton)
                budget.spend(all.cost)
            }
            guard !all.isEmpty else { return false }
            let (longest, isTooLong) = minimumLength.addingReportingOverflow(all.isAccepting.count + Self.slack)
            let limit = min(maximumLength ?? .max, isTooLong ? .max : longest)
            let completions = try all.completions(upTo: limit)
            budget.spend(completions.count * all.isAccepting.count)
            return completions[minimumLength...].contains { $0[0] }
        } catch {
            return true
        }
    }
}
