import Hummingbird
import RetortCore

/// An answer in the form of Anthropic's Messages, made from the answer that a chat would get.
struct MessagesAnswer<Chat: Answer>: Answer {
    private enum Block: Equatable { case text, thinking, call }

    private let id: String
    private let model: String
    private var chat: Chat
    private var hasBegun = false
    private var open: Block?
    private var index = -1

    init(_ chat: Chat, _ head: AnswerHead) {
        self.chat = chat
        id = "msg_\(head.id.drop { $0 != "-" }.dropFirst())"
        model = head.model
    }

    var usage: Usage { chat.usage }

    mutating func keep(_ event: Chat.Event) throws { try chat.keep(event) }

    mutating func take(_ event: Chat.Event) throws -> [JSONValue] {
        var events: [JSONValue] = []
        for chunk in try chat.take(event) {
            for choice in chunk["choices"]?.array ?? [] { events += self.events(choice) }
        }
        return events
    }

    // MARK: In one piece

    func whole() throws -> JSONValue {
        let choice = try chat.whole()["choices"]?.array?.first
        let message = choice?["message"]
        var content: [JSONValue] = []
        if let thought = message?["reasoning_content"]?.string, !thought.isEmpty {
            content.append(["type": "thinking", "thinking": .string(thought), "signature": ""])
        }
        if let text = message?["content"]?.string ?? message?["refusal"]?.string, !text.isEmpty {
            content.append(["type": "text", "text": .string(text)])
        }
        for call in message?["tool_calls"]?.array ?? [] {
            let text = call["function"]?["arguments"]?.string ?? "{}"
            content.append(Self.use(call, input: (try? ExactJSON.value(of: text)) ?? [:]))
        }
        return self.message(content, reason: Self.reason(choice), stop: Self.stop(choice), usage: usage)
    }

    private func message(_ content: [JSONValue], reason: JSONValue, stop: JSONValue, usage: Usage) -> JSONValue {
        [
            "id": .string(id), "type": "message", "role": "assistant", "model": .string(model),
            "content": .array(content),
            "stop_reason": reason, "stop_sequence": stop, "usage": Self.json(usage),
        ]
    }

    private static func use(_ call: JSONValue, input: JSONValue) -> JSONValue {
        let id = call["id"]?.string ?? ""
        return [
            "type": "tool_use", "id": .string("toolu_\(id.hasPrefix("call_") ? String(id.dropFirst(5)) : id)"),
            "name": call["function"]?["name"] ?? "", "input": input,
        ]
    }

    /// Anthropic's `stop_reason`.
    private static func reason(_ choice: JSONValue?) -> JSONValue {
        switch choice?["finish_reason"]?.string {
        case "tool_calls": "tool_use"
        case "length": "max_tokens"
        default:
            if case .string = choice?["stop_reason"] {
                "stop_sequence"
            } else if choice?["message"]?["refusal"]?.string != nil {
                "refusal"
            } else {
                "end_turn"
            }
        }
    }

    /// Anthropic's `stop_sequence`, which stands beside that reason only.
    private static func stop(_ choice: JSONValue?) -> JSONValue {
        reason(choice) == "stop_sequence" ? choice?["stop_reason"] ?? .null : .null
    }

    private static func json(_ usage: Usage) -> JSONValue {
        ["input_tokens": .integer(usage.promptTokens), "output_tokens": .integer(usage.completionTokens)]
    }

    // MARK: As a stream

    private mutating func events(_ choice: JSONValue) -> [JSONValue] {
        var events: [JSONValue] = []
        if !hasBegun {
            hasBegun = true
            events.append([
                "type": "message_start", "message": message([], reason: .null, stop: .null, usage: Usage()),
            ])
        }
        let delta = choice["delta"]
        if let thought = delta?["reasoning_content"]?.string, !thought.isEmpty {
            events += begin(.thinking, ["type": "thinking", "thinking": "", "signature": ""])
            events.append(self.delta(["type": "thinking_delta", "thinking": .string(thought)]))
        }
        if let text = delta?["content"]?.string ?? delta?["refusal"]?.string, !text.isEmpty {
            events += begin(.text, ["type": "text", "text": ""])
            events.append(self.delta(["type": "text_delta", "text": .string(text)]))
        }
        for call in delta?["tool_calls"]?.array ?? [] {
            events += end()
            events += begin(.call, Self.use(call, input: [:]))
            let text = call["function"]?["arguments"]?.string ?? "{}"
            events.append(self.delta(["type": "input_json_delta", "partial_json": .string(text)]))
        }
        guard let finish = choice["finish_reason"], finish != .null else { return events }
        events += end()
        events.append([
            "type": "message_delta",
            "delta": ["stop_reason": Self.reason(choice), "stop_sequence": Self.stop(choice)],
            "usage": Self.json(usage),
        ])
        events.append(["type": "message_stop"])
        return events
    }

    private mutating func begin(_ block: Block, _ content: JSONValue) -> [JSONValue] {
        guard open != block else { return [] }
        let before = end()
        open = block
        index += 1
        return before + [["type": "content_block_start", "index": .integer(index), "content_block": content]]
    }

    private mutating func end() -> [JSONValue] {
        guard open != nil else { return [] }
        open = nil
        return [["type": "content_block_stop", "index": .integer(index)]]
    }

    private func delta(_ delta: JSONValue) -> JSONValue {
        ["type": "content_block_delta", "index": .integer(index), "delta": delta]
    }

    func closing(_ usage: JSONValue) -> JSONValue { ["type": "ping"] }

    static func event(_ chunk: JSONValue) -> String {
        "event: \(chunk["type"]?.string ?? "message")\ndata: \(ExactJSON.text(chunk))\n\n"
    }

    static func event(_ error: APIError) -> String { event(error.messagesBody) }

    static var lastEvent: String? { nil }
}

extension APIError {
    /// The error in Anthropic's form.
    var messagesBody: JSONValue {
        let type: JSONValue =
            switch status.code {
            case 400, 405, 408, 415, 421, 422: "invalid_request_error"
            case 401: "authentication_error"
            case 403: "permission_error"
            case 404: "not_found_error"
            case 413: "request_too_large"
            case 429: "rate_limit_error"
            case 503, 529: "overloaded_error"
            case 504: "timeout_error"
            default: "api_error"
            }
        return ["type": "error", "error": ["type": type, "message": .string(message)]]
    }

    /// The same about the parameters that Anthropic's clients sent, not those of the chat that was made of them.
    var inMessagesTerms: APIError {
        var error = self
        error.message = message.replacing("'stop'", with: "'stop_sequences'")
            .replacing(".function.parameters", with: ".input_schema")
            .replacing(".function.name", with: ".name")
        return error
    }

    /// The answer to a client of Anthropic's.
    var messagesResponse: Response {
        var answer = response
        let told = Response.json(messagesBody, status: status)
        answer.body = told.body
        answer.headers[.contentLength] = told.headers[.contentLength]
        return answer
    }
}
