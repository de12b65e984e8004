import RetortCore

/// The answer of a model to a chat.
struct ChatAnswer: Answer {
    private struct Choice: Sendable {
        var isOpen = false
        /// Written since the last chunk.
        var tokens: [GeneratedToken] = []
        var hold = ToolCallHold()
        var completion: Completion?
    }

    private let head: AnswerHead
    private let settings: (returnsTokens: Bool, includesUsage: Bool)
    private let reportsLogprobs: Bool
    private let readsToolCalls: Bool
    private var choices: [Choice]

    init(_ head: AnswerHead, _ request: ChatRequest) {
        self.head = head
        settings = (request.settings.returnsTokens, request.settings.includesUsage)
        reportsLogprobs = request.logprobs != nil
        readsToolCalls = request.tools != nil
        choices = Array(repeating: Choice(), count: request.settings.choices)
    }

    var usage: Usage { choices.compactMap(\.completion).reduce(Usage()) { $0 + $1.usage } }

    mutating func take(_ event: GenerationEvent) -> [JSONValue] {
        switch event {
        case .token(let index, let token):
            choices[index].tokens.append(token)
            return []
        case .text(let index, let text):
            let shown = readsToolCalls ? choices[index].hold.push(text) : text
            guard !shown.isEmpty else { return opening(index) }
            return opening(index) + [chunk(index, ["content": .string(shown)])]
        case .finished(let index, let completion):
            choices[index].completion = completion
            let rest = choices[index].hold.finish()
            var delta: [String: JSONValue] = [:]
            if !rest.text.isEmpty { delta["content"] = .string(rest.text) }
            if !rest.calls.isEmpty { delta["tool_calls"] = toolCalls(rest.calls, choice: index) }
            return opening(index) + [chunk(index, delta, after: completion, hasCalls: !rest.calls.isEmpty)]
        }
    }

    func whole() throws -> JSONValue {
        var members: [String: JSONValue] = ["usage": usage.json]
        members["choices"] = .array(try choices.indices.map(wholeChoice))
        if settings.returnsTokens { members["prompt_token_ids"] = promptTokens(choices.first?.completion) }
        return head.object("chat.completion", members)
    }

    func closing(_ usage: JSONValue) -> JSONValue {
        head.object("chat.completion.chunk", ["choices": [], "usage": usage])
    }

    private func wholeChoice(_ index: Int) throws -> JSONValue {
        guard let completion = choices[index].completion else { throw LanguageModelError.sampleMissing(index) }
        let (text, calls) = readsToolCalls ? ToolCallText.read(completion.text) : (completion.text, [])
        var message: [String: JSONValue] = [
            "role": "assistant", "content": text.isEmpty && !calls.isEmpty ? .null : .string(text), "refusal": .null,
        ]
        if !calls.isEmpty { message["tool_calls"] = toolCalls(calls, choice: index) }
        var choice: [String: JSONValue] = [
            "index": .integer(index), "message": .object(message),
            "finish_reason": calls.isEmpty ? completion.finish.reason : "tool_calls",
            "stop_reason": completion.finish.stopText,
            "logprobs": reportsLogprobs ? GeneratedToken.chatLogprobs(completion.report) : .null,
        ]
        if settings.returnsTokens { choice["token_ids"] = GeneratedToken.ids(completion.report) }
        return .object(choice)
    }

    /// The chunk that says who speaks, once for each choice.
    private mutating func opening(_ index: Int) -> [JSONValue] {
        guard !choices[index].isOpen else { return [] }
        choices[index].isOpen = true
        let choice: JSONValue = [
            "index": .integer(index), "delta": ["role": "assistant", "content": ""], "logprobs": .null,
            "finish_reason": .null,
        ]
        return [chunk([choice])]
    }

    private mutating func chunk(
        _ index: Int, _ delta: [String: JSONValue], after completion: Completion? = nil, hasCalls: Bool = false
    ) -> JSONValue {
        let tokens = choices[index].tokens
        choices[index].tokens = []
        var choice: [String: JSONValue] = [
            "index": .integer(index), "delta": .object(delta),
            "finish_reason": hasCalls ? "tool_calls" : completion?.finish.reason ?? .null,
            "logprobs": reportsLogprobs ? GeneratedToken.chatLogprobs(tokens) : .null,
        ]
        if let completion { choice["stop_reason"] = completion.finish.stopText }
        if settings.returnsTokens { choice["token_ids"] = GeneratedToken.ids(tokens) }
        let prompt = settings.returnsTokens && completion != nil ? promptTokens(completion) : nil
        return chunk([.object(choice)], prompt)
    }

    private func chunk(_ choices: [JSONValue], _ prompt: JSONValue? = nil) -> JSONValue {
        var members: [String: JSONValue] = ["choices": .array(choices)]
        if settings.includesUsage { members["usage"] = .null }
        members["prompt_token_ids"] = prompt
        return head.object("chat.completion.chunk", members)
    }

    private func toolCalls(_ calls: [ToolCallText.Call], choice: Int) -> JSONValue {
        .array(
            calls.enumerated().map { number, call in
                [
                    "index": .integer(number), "id": .string("call_\(head.id.suffix(12))_\(choice)_\(number)"),
                    "type": "function",
                    "function": ["name": .string(call.name), "arguments": .string(call.arguments)],
                ]
            })
    }

    private func promptTokens(_ completion: Completion?) -> JSONValue {
        .array((completion?.tokens?.prompt ?? []).map { .integer(Int($0)) })
    }
}
