extension JSONTree {
    /// JSON as Python writes it, members in their order.
    package var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let digits): digits
        case .string(let bytes): ExactJSON.text(.string(String(decoding: bytes, as: UTF8.self)))
        case .array(let elements): "[" + elements.map(\.text).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.map { "\(JSONTree.string($0.name).text): \($0.value.text)" }.joined(separator: ", ") + "}"
        }
    }

    /// An object of these members, in this order.
    package static func object(named members: [(String, JSONTree)]) -> JSONTree {
        .object(members.map { (Array($0.0.utf8), $0.1) })
    }
}
