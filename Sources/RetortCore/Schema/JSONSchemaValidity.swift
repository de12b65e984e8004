extension JSONSchema {
    /// The first reason why a value is not valid, with its place; nil when it is.
    public func fault(in value: JSONValue, at path: String = "") -> String? {
        JSONSchemaCheck(definitions: [:]).fault(self, value, path, depth: 0)
    }
}

/// Finds what is wrong with a value.
private struct JSONSchemaCheck {
    let definitions: [String: JSONSchema]

    /// The most schemas one within another; values of this depth are none that anyone sends.
    private static let deepest = 1000

    func fault(_ schema: JSONSchema, _ value: JSONValue, _ path: String, depth: Int) -> String? {
        let place = path.isEmpty ? "the value" : "'\(path)'"
        guard depth < Self.deepest else { return "\(place) is nested too deeply, or its schema means itself" }
        switch (schema, value) {
        case (.any, _), (.null, .null), (.boolean, .bool): return nil
        case (.scoped(let inner, let definitions), _):
            return JSONSchemaCheck(definitions: definitions).fault(inner, value, path, depth: depth + 1)
        case (.reference(let name), _):
            guard let inner = definitions[name] else { return "\(place) refers to '\(name)', which is not defined" }
            return fault(inner, value, path, depth: depth + 1)
        case (.implied(let inner), _):
            return inner.kind == value.kind ? fault(inner, value, path, depth: depth + 1) : nil
        case (.constants(let constants), _):
            if constants.contains(where: { $0.isSame(as: value) }) { return nil }
            return "\(place) must be one of \(constants.map(\.jsonText).joined(separator: ", "))"
        case (.anyOf(let choices), _):
            let faults = choices.map { fault($0, value, path, depth: depth + 1) }
            return faults.contains(nil) ? nil : faults.first.flatMap(\.self) ?? "nothing is allowed for \(place)"
        case (.string(let range), .string(let text)): return fault(range, text, place)
        case (.array(let array), .array(let elements)):
            guard elements.count >= array.minimum, elements.count <= array.maximum ?? .max else {
                return "\(place) has \(elements.count) elements"
            }
            return elements.enumerated().lazy.compactMap {
                fault(array.schema(at: $0), $1, "\(path)[\($0)]", depth: depth + 1)
            }.first
        case (.integer(let low, let high), _):
            guard let number = NumberBound(value), number.value == number.value.rounded() else {
                return "\(place) must be a whole number"
            }
            var range = JSONSchema.NumberRange()
            (range.low, range.high) = (low.map { NumberBound($0) }, high.map { NumberBound($0) })
            return fault(range, number, place)
        case (.number(let range), _):
            guard let number = NumberBound(value) else { return "\(place) must be a number" }
            return fault(range, number, place)
        case (.object(let object), .object(let members)) where value.kind == .object:
            return fault(object, members, path, depth: depth)
        default: return "\(place) must be \(schema.words)"
        }
    }

    private func fault(_ range: JSONSchema.NumberRange, _ number: NumberBound, _ place: String) -> String? {
        if range.contains(number) { return nil }
        if let low = range.low, number <= low, range.high.map({ number < $0 }) ?? true {
            return "\(place) must be \(range.excludesMinimum ? "above" : "at least") \(low.text)"
        }
        let high = range.high ?? number
        return "\(place) must be \(range.excludesMaximum ? "below" : "at most") \(high.text)"
    }

    private func fault(_ range: JSONSchema.TextRange, _ text: String, _ place: String) -> String? {
        let length = text.unicodeScalars.count
        if let limit = range.maximumLength, length > limit { return "\(place) is longer than \(limit) characters" }
        if length < range.minimumLength { return "\(place) is shorter than \(range.minimumLength) characters" }
        guard let pattern = range.patterns.first(where: { !$0.automaton.accepts(text) }) else { return nil }
        return pattern.keyword == .format
            ? "\(place) is not of the format '\(pattern.value)'" : "\(place) does not match '\(pattern.value)'"
    }

    private func fault(
        _ object: JSONSchema.ObjectSchema, _ members: [String: JSONValue], _ path: String, depth: Int
    ) -> String? {
        if let missing = object.required.filter({ members.spelled($0) == nil }).min() {
            return "'\(missing)' is missing"
        }
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            let inner = path.isEmpty ? name : "\(path).\(name)"
            guard let expected = object.properties.spelled(name) ?? object.others else {
                return "there is no '\(inner)'"
            }
            if let fault = fault(expected, value, inner, depth: depth + 1) { return fault }
        }
        return nil
    }
}

extension JSONSchema {
    fileprivate var words: String {
        switch self {
        case .any, .implied, .reference, .scoped: "anything"
        case .null: "null"
        case .boolean: "true or false"
        case .integer: "a whole number"
        case .number: "a number"
        case .string: "a text"
        case .constants: "one of its constants"
        case .array: "a list"
        case .object: "an object"
        case .anyOf(let choices): choices.map(\.words).joined(separator: " or ")
        }
    }
}

extension JSONValue {
    var kind: JSONKind {
        switch self {
        case .null: .null
        case .bool: .boolean
        case .integer, .number: .number
        case .string: .string
        case .array: .array
        case .object: numeric == nil ? .object : .number
        }
    }

    /// Equal as JSON Schema has it: `1` and `1.0` are one number.
    func isSame(as other: JSONValue) -> Bool {
        switch (self, other) {
        case (.array(let left), .array(let right)):
            return left.count == right.count && zip(left, right).allSatisfy { $0.isSame(as: $1) }
        case (.object(let left), .object(let right)) where numeric == nil && other.numeric == nil:
            return left.count == right.count
                && left.allSatisfy { name, value in right.spelled(name).map { value.isSame(as: $0) } ?? false }
        case (.integer(let left), .integer(let right)): return left == right
        default:
            if let left = numeric, let right = other.numeric, self != other {
                // Two numbers beyond 64 bits are compared digit by digit, which `==` has done.
                return kindIsWide && other.kindIsWide ? false : left == right
            }
            return isSpelled(as: other)
        }
    }

    private var kindIsWide: Bool { if case .object = self { true } else { false } }
}
