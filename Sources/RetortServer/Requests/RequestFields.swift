import RetortCore

/// The members of a JSON object in a request, read one by one. `null` counts as left out. Members that nobody has
/// read by the end are refused, so nothing a client says is silently ignored.
struct RequestFields {
    private let members: [String: JSONTree]
    private let path: String
    private var known: Set<String> = []

    /// - Parameter path: where the object stands in the request, such as `messages[0]`; empty for the body.
    init(_ tree: JSONTree, at path: String = "") throws(APIError) {
        guard case .object(let members) = tree else {
            throw .invalid(
                path.isEmpty ? "the body must be a JSON object" : "'\(path)' must be an object",
                param: path.nilWhenEmpty)
        }
        self.path = path
        self.members = Dictionary(
            members.filter { if case .null = $0.value { false } else { true } }
                .map { (String(decoding: $0.name, as: UTF8.self), $0.value) }, uniquingKeysWith: { _, last in last })
    }

    /// Parses a body.
    init(body: [UInt8]) throws(APIError) {
        do {
            try self.init(JSONTree.parse(body, halfPairs: .refused))
        } catch let error as APIError {
            throw error
        } catch {
            throw .invalid("the body is not JSON: \(error)", code: "invalid_json")
        }
    }

    /// The path of a member, as errors name it.
    func place(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// The names of all members.
    var names: Set<String> { Set(members.keys) }

    /// The member as it was sent; nil if it is missing or `null`.
    mutating func tree(_ name: String) -> JSONTree? {
        known.insert(name)
        return members[name]
    }

    mutating func string(_ name: String) throws(APIError) -> String? {
        guard let tree = tree(name) else { return nil }
        return try Self.string(tree, at: place(name))
    }

    mutating func requiredString(_ name: String) throws(APIError) -> String {
        guard let value = try string(name) else { throw .invalid("'\(place(name))' is missing", param: place(name)) }
        return value
    }

    mutating func flag(_ name: String) throws(APIError) -> Bool? {
        guard let tree = tree(name) else { return nil }
        guard case .bool(let value) = tree else {
            throw .invalid("'\(place(name))' must be true or false", param: place(name))
        }
        return value
    }

    mutating func integer(_ name: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
        guard let tree = tree(name) else { return nil }
        guard case .number(let digits) = tree, let value = Int(digits), range.contains(value) else {
            let wanted =
                range == Int.min...Int.max
                ? "a whole number"
                : range.upperBound == Int.max
                    ? "a whole number of at least \(range.lowerBound)"
                    : "a whole number from \(range.lowerBound) to \(range.upperBound)"
            throw .invalid("'\(place(name))' must be \(wanted)", param: place(name))
        }
        return value
    }

    mutating func number(_ name: String, in range: ClosedRange<Double>) throws(APIError) -> Double? {
        guard let tree = tree(name) else { return nil }
        guard case .number(let digits) = tree, let value = Double(digits), range.contains(value) else {
            throw .invalid(
                "'\(place(name))' must be a number from \(range.lowerBound) to \(range.upperBound)", param: place(name))
        }
        return value
    }

    mutating func array(_ name: String) throws(APIError) -> [JSONTree]? {
        guard let tree = tree(name) else { return nil }
        guard case .array(let elements) = tree else {
            throw .invalid("'\(place(name))' must be an array", param: place(name))
        }
        return elements
    }

    /// Refuses a parameter that would change the answer, unless its value changes nothing.
    mutating func refuse(_ name: String, _ reason: String, unless isHarmless: (JSONTree) -> Bool = { _ in false })
        throws(APIError)
    {
        guard let tree = tree(name), !isHarmless(tree) else { return }
        throw .unsupported(place(name), reason)
    }

    /// Refuses two names of one parameter whose values differ: one of them would be passed over.
    static func refuseTwins<Value: Equatable>(_ name: String, _ value: Value?, _ other: String, _ otherValue: Value?)
        throws(APIError)
    {
        guard let value, let otherValue, value != otherValue else { return }
        throw .invalid("'\(name)' and '\(other)' mean the same and differ; give one of them", param: name)
    }

    /// Refuses members that have not been read.
    /// - Parameter harmless: members that may be present because they change nothing.
    func refuseOthers(harmless: Set<String>) throws(APIError) {
        guard let stranger = members.keys.filter({ !known.contains($0) && !harmless.contains($0) }).min() else {
            return
        }
        throw .invalid("'\(place(stranger))' is no known parameter", param: place(stranger), code: "unknown_parameter")
    }

    /// A string's text.
    static func string(_ tree: JSONTree, at place: String) throws(APIError) -> String {
        guard case .string(let bytes) = tree else { throw .invalid("'\(place)' must be a string", param: place) }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalid("'\(place)' is not UTF-8 text", param: place)
        }
        return text
    }
}

extension JSONTree {
    /// Whether the value is a number equal to this one.
    func isNumber(_ value: Double) -> Bool {
        if case .number(let digits) = self { Double(digits) == value } else { false }
    }

    /// Whether the value is an array or object without members.
    var isEmpty: Bool {
        switch self {
        case .array(let elements): elements.isEmpty
        case .object(let members): members.isEmpty
        default: false
        }
    }
}

extension String {
    fileprivate var nilWhenEmpty: String? { isEmpty ? nil : self }
}
