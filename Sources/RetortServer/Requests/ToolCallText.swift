import RetortCore

/// Tool calls as models of the Hermes and Qwen kind write them: `<tool_call>`, a JSON object of name and arguments,
/// `</tool_call>`. One form for calls that are shown to a model and for those that it makes.
enum ToolCallText {
    static let opening = "<tool_call>"
    private static let closing = "</tool_call>"

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

    /// Reads calls from the text of a model.
    /// - Returns: the text before the first call, and the calls; none when one of them cannot be read.
    static func read(_ text: String) -> (text: String, calls: [Call]) {
        guard let first = text.firstRange(of: opening) else { return (text, []) }
        var calls: [Call] = []
        for block in text[first.upperBound...].split(separator: opening, omittingEmptySubsequences: false) {
            let inner = block.firstRange(of: closing).map { block[..<$0.lowerBound] } ?? block
            guard let tree = try? JSONTree.parse(Array(inner.utf8)), let name = tree["name"]?.string,
                let arguments = tree["arguments"], case .object = arguments
            else { return (text, []) }
            calls.append(Call(name: name, arguments: arguments.text))
        }
        var before = text[..<first.lowerBound]
        while before.last?.isWhitespace == true { before.removeLast() }
        return (String(before), calls)
    }
}

/// Holds back from a stream what is or may become a tool call.
struct ToolCallHold {
    private var held = ""

    /// Takes new text; returns what can be no call.
    mutating func push(_ text: String) -> String {
        held += text
        let mark = ToolCallText.opening
        let safe: Substring
        if let start = held.firstRange(of: mark)?.lowerBound {
            safe = held[..<start]
        } else {
            let overlap = (1..<mark.count).reversed().first { held.hasSuffix(mark.prefix($0)) } ?? 0
            safe = held.dropLast(overlap)
        }
        let text = String(safe)
        held.removeFirst(text.count)
        return text
    }

    /// The rest, when no more comes: text, or calls.
    mutating func finish() -> (text: String, calls: [ToolCallText.Call]) {
        defer { held = "" }
        return ToolCallText.read(held)
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
