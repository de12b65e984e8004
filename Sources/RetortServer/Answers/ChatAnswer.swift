import RetortCore

/// The answer of a model to a chat.
struct ChatAnswer: Answer {
    private struct Choice: Sendable {
        var isOpen = false
        /// The tokens generated since the last chunk.
        var tokens: [GeneratedToken] = []
        var thoughts: ThoughtSplitter
        var hold: ToolCallHold?
        var completion: Completion?
    }

    private let head: AnswerHead
    private let settings: (returnsTokens: Bool, includesUsage: Bool)
    private let reportsLogprobs: Bool
    private let reader: ToolCallReader?
    /// The text that the reply continues, including a thought that the prompt opens.
    private let beginning: String
    private let isSingle: Bool
    /// The stop texts that the client named; others are the server's own and are not told.
    private let stops: [String]
    private var choices: [Choice]

    init(_ head: AnswerHead, _ request: ChatRequest, _ profile: ReplyProfile) {
        self.head = head
        settings = (request.settings.returnsTokens, request.settings.includesUsage)
        reportsLogprobs = request.logprobs != nil
        reader =
            request.tools == nil
            ? nil
            : ToolCallReader(names: request.toolNames, form: profile.calls, parameters: request.toolParameters)
        beginning = (profile.opensThought ? ThoughtSplitter.opening : "") + request.prefill
        isSingle = !request.callsInParallel
        stops = request.settings.stops
        let choice = Choice(thoughts: ThoughtSplitter(prefill: beginning), hold: reader.map { ToolCallHold($0) })
        choices = Array(repeating: choice, count: request.settings.choices)
    }

    var usage: Usage { choices.compactMap(\.completion).reduce(Usage()) { $0 + $1.usage } }

    mutating func take(_ event: GenerationEvent) -> [JSONValue] {
        switch event {
        case .token(let index, let token):
            choices[index].tokens.append(token)
            return []
        case .text(let index, let text):
            let (thought, said) = choices[index].thoughts.push(text)
            let shown = choices[index].hold?.push(said) ?? said
            var chunks = opening(index)
            if !thought.isEmpty { chunks.append(chunk(index, ["reasoning_content": .string(thought)])) }
            if !shown.isEmpty { chunks.append(chunk(index, ["content": .string(shown)])) }
            return chunks
        case .finished(let index, let completion):
            choices[index].completion = completion
            let (thought, said) = choices[index].thoughts.finish()
            let before = choices[index].hold?.push(said) ?? said
            var rest = choices[index].hold?.finish() ?? (text: "", calls: [])
            rest.text = before + rest.text
            if isSingle { rest.calls = Array(rest.calls.prefix(1)) }
            var delta: [String: JSONValue] = [:]
            if !thought.isEmpty { delta["reasoning_content"] = .string(thought) }
            if !rest.text.isEmpty { delta["content"] = .string(rest.text) }
            if !rest.calls.isEmpty { delta["tool_calls"] = toolCalls(rest.calls, choice: index) }
            return opening(index) + [chunk(index, delta, after: completion, hasCalls: !rest.calls.isEmpty)]
        case .lost: return []
        }
    }

    mutating func keep(_ event: GenerationEvent) {
        if case .finished(let index, let completion) = event { choices[index].completion = completion }
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
        var splitter = ThoughtSplitter(prefill: beginning)
        let (first, last) = (splitter.push(completion.text), splitter.finish())
        let (thought, said) = (first.thought + last.thought, first.said + last.said)
        var (text, calls) = reader?.read(said) ?? (said, [])
        if isSingle { calls = Array(calls.prefix(1)) }
        var message: [String: JSONValue] = [
            "role": "assistant", "content": text.isEmpty && !calls.isEmpty ? .null : .string(text), "refusal": .null,
        ]
        if !thought.isEmpty { message["reasoning_content"] = .string(thought) }
        if !calls.isEmpty { message["tool_calls"] = toolCalls(calls, choice: index) }
        var choice: [String: JSONValue] = [
            "index": .integer(index), "message": .object(message),
            "finish_reason": calls.isEmpty ? completion.finish.reason : "tool_calls",
            "stop_reason": stopText(completion),
            "logprobs": reportsLogprobs ? GeneratedToken.chatLogprobs(completion.report) : .null,
        ]
        if settings.returnsTokens { choice["token_ids"] = GeneratedToken.ids(completion.report) }
        return .object(choice)
    }

    /// The chunk that names the role, sent once for each choice.
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
        if let completion { choice["stop_reason"] = stopText(completion) }
        if settings.returnsTokens { choice["token_ids"] = GeneratedToken.ids(tokens) }
        let prompt = settings.returnsTokens && completion != nil ? promptTokens(completion) : nil
        return chunk([.object(choice)], prompt)
    }

    private func stopText(_ completion: Completion) -> JSONValue {
        guard case .stop(let text) = completion.finish, stops.contains(where: { $0.utf8.elementsEqual(text.utf8) })
        else {
            return .null
        }
        return .string(text)
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
