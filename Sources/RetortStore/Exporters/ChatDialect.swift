import RetortCore

extension ChatExport.Dialect {
    /// A chat in the trainer's form.
    func line(_ turns: [ChatTurn], tools: [JSONValue]) -> JSONValue {
        switch self {
        case .trl: Self.trl(turns, tools)
        case .llamaFactory: Self.llamaFactory(turns, tools)
        case .msSwift: Self.msSwift(turns, tools)
        }
    }

    /// A view's example in the trainer's form; nil when the form cannot mark which turns are trained on.
    func line(example turns: [ChatTurn]) -> JSONValue? {
        let silent = turns.contains { $0.role == .assistant && !$0.isTrainable }
        switch self {
        case .trl where silent:
            // TRL trains only on the completion.
            guard let last = turns.last, last.isTrainable, turns.count(where: \.isTrainable) == 1 else { return nil }
            let prompt = Self.trl(turns.dropLast(), [])["messages"] ?? []
            return ["prompt": prompt, "completion": Self.trl([last], [])["messages"] ?? []]
        case .llamaFactory where silent: return nil
        case .trl, .llamaFactory, .msSwift: return line(turns, tools: [])
        }
    }

    private static func trl(_ turns: [ChatTurn], _ tools: [JSONValue]) -> JSONValue {
        let messages = turns.map { turn -> JSONValue in
            switch turn.content {
            case .text(let text): ["role": .string(turn.role.rawValue), "content": .string(text)]
            case .call(let thought, let name, let arguments):
                [
                    "role": "assistant", "content": .string(thought),
                    "tool_calls": [
                        ["type": "function", "function": ["name": .string(name), "arguments": arguments]]
                    ],
                ]
            case .result(let name, let text):
                ["role": "tool", "name": .string(name), "content": .string(text)]
            }
        }
        var line: [String: JSONValue] = ["messages": .array(messages)]
        if !tools.isEmpty { line["tools"] = .array(tools) }
        return .object(line)
    }

    /// The turns must alternate, so user texts that follow a result, or one another, are joined to them.
    private static func llamaFactory(_ turns: [ChatTurn], _ tools: [JSONValue]) -> JSONValue {
        var line: [String: JSONValue] = [:]
        var conversation: [(from: String, value: String)] = []
        for turn in turns {
            switch (turn.role, turn.content) {
            case (.system, .text(let text)): line["system"] = .string(text)
            case (.assistant, .text(let text)): conversation.append(("gpt", text))
            case (_, .text(let text)): join(("human", text))
            case (_, .call(let thought, let name, let arguments)):
                let call = call(name, arguments)
                conversation.append(
                    ("function_call", thought.isEmpty ? call : "<think>\n\(thought)\n</think>\n\n\(call)"))
            case (_, .result(_, let text)): join(("observation", text))
            }
        }
        func join(_ next: (from: String, value: String)) {
            guard let last = conversation.last, last.from == "human" || last.from == "observation" else {
                return conversation.append(next)
            }
            conversation[conversation.count - 1].value += "\n\n\(next.value)"
        }
        line["conversations"] = .array(
            conversation.map { ["from": .string($0.from), "value": .string($0.value)] })
        if !tools.isEmpty { line["tools"] = .string(JSONValue.array(tools.map { $0["function"] ?? $0 }).jsonText) }
        return .object(line)
    }

    private static func msSwift(_ turns: [ChatTurn], _ tools: [JSONValue]) -> JSONValue {
        var messages: [JSONValue] = []
        func add(_ role: String, _ content: String, isTrainable: Bool = false) {
            var message: [String: JSONValue] = ["role": .string(role), "content": .string(content)]
            // Without a mark every turn of the assistant is trained on.
            if ["assistant", "tool_call"].contains(role), !isTrainable { message["loss"] = false }
            messages.append(.object(message))
        }
        for turn in turns {
            switch turn.content {
            case .text(let text): add(turn.role.rawValue, text, isTrainable: turn.isTrainable)
            case .call(let thought, let name, let arguments):
                if !thought.isEmpty { add("assistant", thought, isTrainable: turn.isTrainable) }
                add("tool_call", call(name, arguments), isTrainable: turn.isTrainable)
            case .result(_, let text): add("tool_response", text)
            }
        }
        var line: [String: JSONValue] = ["messages": .array(messages)]
        if !tools.isEmpty { line["tools"] = .string(JSONValue.array(tools).jsonText) }
        return .object(line)
    }

    private static func call(_ name: String, _ arguments: JSONValue) -> String {
        (["name": .string(name), "arguments": arguments] as JSONValue).jsonText
    }
}
