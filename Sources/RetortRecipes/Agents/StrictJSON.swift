import RetortCore

/// Reads JSON in which every member must be known: an unknown one is refused by its name.
enum StrictJSON {
    /// An unknown member.
    struct Stranger: Error {
        let path: String
    }

    /// - Throws: `DecodingError` for something missing or of another type, `Stranger`.
    static func decode<Value: Codable>(_ type: Value.Type, from json: JSONValue) throws -> Value {
        let value = try ExactJSON.decode(type, from: json)
        // The value is encoded again: a member that is then missing was not read.
        if let path = stranger(in: json, beside: try ExactJSON.tree(value), at: "") { throw Stranger(path: path) }
        return value
    }

    private static func stranger(in given: JSONValue, beside read: JSONValue, at path: String) -> String? {
        switch (given, read) {
        case (.object(let members), .object(let known)):
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                let place = path.isEmpty ? name : "\(path).\(name)"
                guard let same = known[name] else { return place }
                if let inner = stranger(in: member, beside: same, at: place) { return inner }
            }
        case (.array(let elements), .array(let known)):
            for (index, pair) in zip(elements, known).enumerated() {
                if let inner = stranger(in: pair.0, beside: pair.1, at: "\(path)[\(index)]") { return inner }
            }
        default: break
        }
        return nil
    }

    /// A value as text for people; its numbers keep their types.
    static func pages(_ value: JSONValue, indent: String = "") -> String {
        let inner = indent + "  "
        switch value {
        case .object(let members) where !members.isEmpty:
            let lines = members.sorted { $0.key < $1.key }.map {
                "\(inner)\(ExactJSON.text(.string($0.key))): \(pages($0.value, indent: inner))"
            }
            return "{\n\(lines.joined(separator: ",\n"))\n\(indent)}"
        case .array(let elements) where !elements.isEmpty:
            return "[\n\(elements.map { inner + pages($0, indent: inner) }.joined(separator: ",\n"))\n\(indent)]"
        default: return ExactJSON.text(value)
        }
    }

    /// What is wrong, for people.
    static func words(_ error: any Error) -> String {
        func place(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
            return path.isEmpty ? "it" : "'\(path)'"
        }
        return switch error {
        case let stranger as Stranger:
            "the key '\(stranger.path)' is unknown, or is null, and this Retort would ignore it; remove it"
        case DecodingError.keyNotFound(let key, let context): "\(place(context)) lacks '\(key.stringValue)'"
        case DecodingError.typeMismatch(_, let context): "\(place(context)) is of another type"
        case DecodingError.valueNotFound(_, let context): "\(place(context)) is null"
        case DecodingError.dataCorrupted(let context): "\(place(context)): \(context.debugDescription)"
        default: "\(error)"
        }
    }
}
