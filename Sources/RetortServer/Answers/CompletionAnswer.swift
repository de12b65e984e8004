import RetortCore

/// The answer of a model to plain prompts.
struct CompletionAnswer: Answer {
    private struct Choice: Sendable {
        /// The tokens generated since the last chunk.
        var tokens: [GeneratedToken] = []
        /// The characters sent so far.
        var sent = 0
        var completion: Completion?
    }

    private let head: AnswerHead
    private let settings: (returnsTokens: Bool, includesUsage: Bool)
    private let reportsLogprobs: Bool
    private let reportsPrompt: Bool
    private var choices: [Choice]

    init(_ head: AnswerHead, _ request: CompletionRequest) {
        self.head = head
        settings = (request.settings.returnsTokens, request.settings.includesUsage)
        reportsLogprobs = request.logprobs != nil
        reportsPrompt = request.promptLogprobs != nil
        choices = Array(repeating: Choice(), count: request.prompts.count * request.settings.choices)
    }

    var usage: Usage { choices.compactMap(\.completion).reduce(Usage()) { $0 + $1.usage } }

    mutating func take(_ event: GenerationEvent) -> [JSONValue] {
        switch event {
        case .token(let index, let token):
            choices[index].tokens.append(token)
            return []
        case .text(let index, let text): return [chunk(index, text)]
        case .finished(let index, let completion):
            choices[index].completion = completion
            return [chunk(index, "", after: completion)]
        case .lost: return []
        }
    }

    mutating func keep(_ event: GenerationEvent) {
        if case .finished(let index, let completion) = event { choices[index].completion = completion }
    }

    func whole() throws -> JSONValue {
        let all = try choices.enumerated().map { index, choice in
            guard let completion = choice.completion else { throw LanguageModelError.sampleMissing(index) }
            return self.choice(index, completion.text, completion.report, from: 0, after: completion)
        }
        return head.object("text_completion", ["choices": .array(all), "usage": usage.json])
    }

    func closing(_ usage: JSONValue) -> JSONValue {
        head.object("text_completion", ["choices": [], "usage": usage])
    }

    private mutating func chunk(_ index: Int, _ text: String, after completion: Completion? = nil) -> JSONValue {
        let (tokens, sent) = (choices[index].tokens, choices[index].sent)
        choices[index].tokens = []
        choices[index].sent += tokens.reduce(0) { $0 + String(decoding: $1.bytes, as: UTF8.self).count }
        var members: [String: JSONValue] = ["choices": [choice(index, text, tokens, from: sent, after: completion)]]
        if settings.includesUsage { members["usage"] = .null }
        return head.object("text_completion", members)
    }

    private func choice(
        _ index: Int, _ text: String, _ tokens: [GeneratedToken], from start: Int, after completion: Completion?
    ) -> JSONValue {
        var choice: [String: JSONValue] = [
            "index": .integer(index), "text": .string(text), "finish_reason": completion?.finish.reason ?? .null,
            "logprobs": reportsLogprobs ? GeneratedToken.completionLogprobs(tokens, from: start) : .null,
        ]
        if let completion { choice["stop_reason"] = completion.finish.stopText }
        if reportsPrompt, let completion, !completion.promptReport.isEmpty {
            choice["prompt_logprobs"] = GeneratedToken.promptLogprobs(completion.promptReport)
        }
        if settings.returnsTokens {
            choice["token_ids"] = GeneratedToken.ids(tokens)
            if let prompt = completion?.tokens?.prompt {
                choice["prompt_token_ids"] = .array(prompt.map { .integer(Int($0)) })
            }
        }
        return .object(choice)
    }
}
