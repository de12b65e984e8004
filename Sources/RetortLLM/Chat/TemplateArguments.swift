import RetortCore

/// The variables that a chat template gets besides the chat.
struct TemplateArguments {
    let all: [String: JSONTree]

    /// - Throws: `ChatTemplateError.arguments` for a text that is not a JSON object.
    init(_ text: String) throws {
        guard let tree = try? JSONTree.parse(Array(text.utf8)), case .object(let members) = tree else {
            throw ChatTemplateError.arguments(String(text.prefix(40)))
        }
        all = Dictionary(
            members.map { (String(decoding: $0.name, as: UTF8.self), $0.value) }, uniquingKeysWith: { $1 })
    }

    /// The names of variables that ask for something; one that is false, null or empty counts as absent.
    var names: [String] {
        all.filter { _, value in
            switch value {
            case .null, .bool(false): false
            case .string(let bytes): !bytes.isEmpty
            case .array(let elements): !elements.isEmpty
            case .object(let members): !members.isEmpty
            case .bool, .number: true
            }
        }.keys.sorted()
    }
}
