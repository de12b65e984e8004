import RetortCore

/// Finds out how a chat template writes function calls, by rendering one.
struct ToolCallProbe {
    /// Whether the template writes calls at all; if not, it drops them.
    let writesCalls: Bool
    let form: ToolCallForm?

    private static let name = "n5q"
    private static let argument = "v7w"
    // Mistral's templates accept only identifiers of nine characters.
    private static let call = """
        [{"id": "call00000", "type": "function", "function": {"name": "\(name)", "arguments": {"k6": "\(argument)"}}}]
        """
    private static let tools = """
        [{"type": "function", "function": {"name": "\(name)", "description": "d8", "parameters": \
        {"type": "object", "properties": {"k6": {"type": "string"}}, "required": ["k6"]}}}]
        """

    /// - Parameter render: renders a chat, as a prompt or not, with or without tools.
    init(_ render: (_ messages: [Message], _ isPrompt: Bool, _ tools: JSONTree?) throws -> String) {
        let question = Message(.user, "a1")
        let calling = Message(
            role: .assistant, spans: [.init("")], details: .init(calls: Self.call, callID: nil))
        for tools in [try? JSONTree.parse(Array(Self.tools.utf8)), nil] {
            guard let text = try? render([question, calling], false, tools), let start = text.ranges(of: "a1").last,
                text[start.upperBound...].contains(Self.argument)
            else { continue }
            let prompt = try? render([question], true, tools)
            let turn =
                prompt.flatMap { text.hasPrefix($0) ? text.dropFirst($0.count) : nil } ?? text[start.upperBound...]
            (writesCalls, form) = (true, Self.form(of: turn))
            return
        }
        (writesCalls, form) = (false, nil)
    }

    private static func form(of turn: Substring) -> ToolCallForm? {
        let isJSON = turn.contains("\"name\"") && turn.contains("\"\(name)\"")
        let key: ToolCallForm? =
            !isJSON
            ? nil : turn.contains("\"arguments\"") ? .object : turn.contains("\"parameters\"") ? .parameters : nil
        if turn.contains("<function=\(name)>"), turn.contains("<parameter=k6>") { return .elements }
        if turn.contains(ToolCallText.opening) { return key == .object ? .tagged : nil }
        if turn.contains("<|tool_call|>") { return key == nil ? nil : .piped }
        if turn.contains("[TOOL_CALLS]") {
            return isJSON ? .list : turn.contains("[TOOL_CALLS]\(name)") ? .named : nil
        }
        if turn.contains("<function=\(name)>{") { return .function }
        guard let key else { return nil }
        if turn.contains(ToolCallText.fence) { return key == .object ? .fenced : nil }
        return turn.drop { $0 != "{" && $0 != "[" }.first == "{" ? key : .object
    }
}
