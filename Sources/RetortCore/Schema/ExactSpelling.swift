/// Texts are compared byte by byte where a schema is: JSON knows no canonical equivalence, by which Swift takes `é` and `e`
/// with an accent for one text (RFC 8259, section 8.3).
extension String {
    /// Whether both are the same bytes.
    func isSpelled(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}

extension Dictionary where Key == String {
    /// The member of just this spelling.
    func spelled(_ name: String) -> Value? {
        guard let place = index(forKey: name), self[place].key.isSpelled(as: name) else { return nil }
        return self[place].value
    }
}

extension Sequence where Element == String {
    /// A name that is there in two spellings which Swift takes for one; nil when all are told apart.
    var spelledTwice: String? {
        var seen: [String: String] = [:]
        for name in self where seen.updateValue(name, forKey: name).map({ !$0.isSpelled(as: name) }) ?? false {
            return name
        }
        return nil
    }
}

extension JSONValue {
    /// The same value in the same bytes.
    func isSpelled(as other: JSONValue) -> Bool {
        switch (self, other) {
        case (.string(let left), .string(let right)): left.isSpelled(as: right)
        case (.array(let left), .array(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.isSpelled(as: $1) }
        case (.object(let left), .object(let right)):
            left.count == right.count
                && left.allSatisfy { name, value in right.spelled(name)?.isSpelled(as: value) ?? false }
        default: self == other
        }
    }
}

extension JSONSchema {
    /// Equal byte by byte.
    public static func == (left: JSONSchema, right: JSONSchema) -> Bool {
        switch (left, right) {
        case (.any, .any), (.null, .null), (.boolean, .boolean): true
        case (.integer(let low, let high), .integer(let otherLow, let otherHigh)):
            low == otherLow && high == otherHigh
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): left == right
        case (.constants(let left), .constants(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.isSpelled(as: $1) }
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        case (.anyOf(let left), .anyOf(let right)): left == right
        case (.implied(let left), .implied(let right)): left == right
        // A definition's name says nothing of what is valid.
        case (.reference(let left), .reference(let right)): left == right
        case (.scoped(let left, let definitions), .scoped(let right, let others)):
            left == right && definitions == others
        default: false
        }
    }
}

extension JSONSchema.ObjectSchema {
    /// Equal byte by byte.
    public static func == (left: Self, right: Self) -> Bool {
        left.properties.count == right.properties.count && left.required == right.required
            && left.others == right.others
            && left.properties.allSatisfy { name, schema in right.properties.spelled(name) == schema }
    }
}

extension OutputGrammar {
    /// Equal byte by byte.
    public static func == (left: OutputGrammar, right: OutputGrammar) -> Bool {
        switch (left, right) {
        case (.text(let left), .text(let right)): left.isSpelled(as: right)
        case (.oneOf(let left), .oneOf(let right)), (.sequence(let left), .sequence(let right)): left == right
        case (.prose(let limit, let endings), .prose(let other, let others)): limit == other && endings == others
        case (.anything(let left), .anything(let right)): left == right
        case (.json(let left), .json(let right)): left == right
        default: false
        }
    }
}

extension OutputGrammar.Ending {
    /// Equal byte by byte.
    public static func == (left: Self, right: Self) -> Bool {
        left.text.isSpelled(as: right.text) && left.next == right.next
    }
}
