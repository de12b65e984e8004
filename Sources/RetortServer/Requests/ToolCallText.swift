import RetortCore

/// Tool calls as models of the Hermes and Qwen kind write them: `<tool_call>`, a JSON object of name and arguments,
/// `</tool_call>`. Calls are shown to every model in this form, and a model that must call is made to call in it.
enum ToolCallText {
    static let opening = "<tool_call>"
    static let closing = "</tool_call>"

    /// A call that a model made.
    struct Call: Equatable {
        let name: String
        /// A JSON object.
        let arguments: String
    }

    /// The calls of an assistant message in OpenAI's form, as text.
    static func write(_ calls: [JSONTree], at place: String) throws(APIError) -> String {
        var blocks: [String] = []
        for (index, call) in calls.enumerated() {
            guard let name = call["function"]?["name"]?.bytes, let text = call["function"]?["arguments"]?.bytes,
                let arguments = try? JSONTree.parse(text.isEmpty ? Array("{}".utf8) : text)
            else {
                throw .invalid(
                    "'\(place)[\(index)]' must have a function with a name and arguments as JSON text",
                    param: "\(place)[\(index)]")
            }
            let object = JSONTree.object([(Array("name".utf8), .string(name)), (Array("arguments".utf8), arguments)])
            blocks.append("\(opening)\n\(object.text)\n\(closing)")
        }
        return blocks.joined(separator: "\n")
    }

    /// One call of one of some functions.
    static func grammar(_ functions: [(name: String, arguments: JSONSchema)]) -> OutputGrammar {
        let calls = functions.map { function in
            OutputGrammar.sequence([
                .text("\(ExactJSON.text(.string(function.name))), \"arguments\": "), .json(function.arguments),
            ])
        }
        return .sequence([.text("\(opening)\n{\"name\": "), .oneOf(calls), .text("}\n\(closing)")])
    }
}

extension JSONTree {
    /// JSON as Python writes it, members in their order.
    var text: String {
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
}
