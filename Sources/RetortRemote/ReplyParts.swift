import RetortCore

/// What comes back: a whole reply, or a part of one, of either operation. Fields that servers add are left alone.
struct ReplyPart: Decodable {
    struct Choice: Decodable {
        var index: Int?
        var text: String?
        var message: Delta?
        var delta: Delta?
        var finish_reason: String?
        /// vLLM: the stop text, or a token's number.
        var stop_reason: JSONValue?
        var logprobs: LogProbabilities?
        /// vLLM, with `return_token_ids`.
        var token_ids: [Int32]?
        var prompt_token_ids: [Int32]?
        /// vLLM, by number; null for the first token.
        var prompt_logprobs: [[String: PromptEntry]?]?
    }

    struct PromptEntry: Decodable {
        var logprob: Double
        var decoded_token: String?
    }

    struct Delta: Decodable {
        var content: ContentPart?
        var reasoning_content: String?
        var reasoning: String?
        var refusal: String?
        var tool_calls: [CallPart]?
    }

    /// A text, or parts of it, as Mistral's reasoning models send them; what was thought is kept apart.
    struct ContentPart: Decodable {
        var text = ""
        var reasoning = ""

        private struct Part: Decodable {
            var type: String
            var text: String?
            var thinking: ContentPart?
        }

        init(from decoder: any Decoder) throws {
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                self.text = text
                return
            }
            for part in try decoder.singleValueContainer().decode([Part].self) {
                switch part.type {
                case "text", "output_text", "refusal": text += part.text ?? ""
                case "thinking", "reasoning":
                    reasoning += (part.thinking?.text ?? "") + (part.text ?? "")
                case let type:
                    throw DecodingError.dataCorrupted(
                        .init(
                            codingPath: decoder.codingPath, debugDescription: "a part of the type '\(type)' is no text")
                    )
                }
            }
        }
    }

    struct CallPart: Decodable {
        struct Function: Decodable {
            var name: String?
            var arguments: String?
        }

        var index: Int?
        var id: String?
        var function: Function?
    }

    /// Both operations' forms.
    struct LogProbabilities: Decodable {
        struct Entry: Decodable {
            var token: String
            /// llama.cpp's.
            var id: Int32?
            var bytes: [UInt8]?
            var logprob: Double
            var top_logprobs: [Entry]?
        }

        var content: [Entry]?
        var tokens: [String]?
        var token_logprobs: [Double?]?
        var top_logprobs: [[String: Double]?]?
    }

    struct Usage: Decodable {
        var prompt_tokens: Int?
        var completion_tokens: Int?

        /// More than any model reads or writes; sums of them stay numbers.
        private static let most = 1 << 40

        private static func bounded(_ count: Int?) -> Int { min(max(count ?? 0, 0), most) }

        var promptTokens: Int { Self.bounded(prompt_tokens) }
        var completionTokens: Int { Self.bounded(completion_tokens) }
    }

    /// OpenAI's form of an error; some servers send one in the middle of a stream.
    struct Failure: Decodable {
        var message: String?
        var code: JSONValue?
        var type: String?

        init(from decoder: any Decoder) throws {
            // Others send the message alone.
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                message = text
                return
            }
            let container = try decoder.container(keyedBy: Key.self)
            message = try? container.decode(String.self, forKey: .message)
            code = try? container.decode(JSONValue.self, forKey: .code)
            type = try? container.decode(String.self, forKey: .type)
        }

        enum Key: String, CodingKey { case message, code, type }
    }

    var choices: [Choice]?
    /// vLLM's chat operation has it here.
    var prompt_token_ids: [Int32]?
    var usage: Usage?
    var error: Failure?
}

/// Puts the parts of one attempt together, sample by sample.
struct ReplyAssembly: Sendable {
    fileprivate struct Sample: Sendable {
        var text: ReplyText
        var reasoning = ""
        var calls: [RemoteReply.Call] = []
        var arguments: [String] = []
        var tokens: [GeneratedToken] = []
        var ids: [Int32] = []
        var promptEntries: [[String: ReplyPart.PromptEntry]?] = []
        var finish: String?
        var stopText: String?
        /// What came of it, in bytes, shown or not.
        var bytes = 0
    }

    private let limit: Int
    /// The tokens that were sent, where numbers were.
    private let sent: [Int32]
    private var samples: [Sample]
    private var usage: ReplyPart.Usage?
    private var prompt: [Int32]?
    /// Whether the endpoint took the request.
    var hasBegun = false
    /// Whether the server told what it counted.
    var hasUsage: Bool { usage?.completion_tokens != nil }

    init(_ request: GenerationRequest, samples count: Int) {
        limit = request.maximumTokens
        if case .tokens(let tokens) = request.plain { sent = tokens } else { sent = [] }
        samples = (0..<count).map { _ in Sample(text: ReplyText(prefill: request.prefill, stops: request.stops)) }
    }

    /// Takes in a part.
    /// - Returns: the text that can be shown, by the choice's number.
    mutating func add(_ part: ReplyPart) -> [(choice: Int, text: String)] {
        if let usage = part.usage { self.usage = usage }
        prompt = prompt ?? part.prompt_token_ids ?? part.choices?.first?.prompt_token_ids
        var shown: [(choice: Int, text: String)] = []
        for choice in part.choices ?? [] {
            let index = choice.index ?? 0
            // More choices than were asked for are nobody's.
            guard samples.indices.contains(index), samples[index].finish == nil else { continue }
            let delta = choice.delta ?? choice.message
            samples[index].bytes += choice.bytes
            let text = samples[index].text.add(choice.text ?? delta?.content?.text ?? "")
            if !text.isEmpty { shown.append((index, text)) }
            samples[index].reasoning += delta?.reasoning_content ?? delta?.reasoning ?? delta?.content?.reasoning ?? ""
            for call in delta?.tool_calls ?? [] { samples[index].add(call) }
            if let logprobs = choice.logprobs { samples[index].tokens += logprobs.asTokens }
            samples[index].ids += choice.token_ids ?? []
            if let entries = choice.prompt_logprobs { samples[index].promptEntries = entries }
            if let reason = choice.finish_reason {
                samples[index].finish = reason
                samples[index].stopText = choice.stop_reason?.string
                let rest = samples[index].text.end()
                if !rest.isEmpty { shown.append((index, rest)) }
            }
        }
        return shown
    }

    /// What the samples took that did not finish: as the server told, else by their length. What it told is part of the
    /// finished samples where there are some. Nil when the endpoint did not take the request.
    func lost(of request: GenerationRequest) -> Usage? {
        guard hasBegun else { return nil }
        let unfinished = samples.filter { $0.finish == nil }
        let told = unfinished.count == samples.count ? usage : nil
        let length = unfinished.reduce(0) { $0 + $1.bytes }
        let hasPrompt = usage.map { $0.promptTokens > 0 } ?? false
        return Usage(
            promptTokens: hasPrompt ? told?.promptTokens ?? 0 : request.estimatedPromptTokens,
            completionTokens: hasUsage ? told?.completionTokens ?? 0 : Usage.tokens(inBytes: length))
    }

    /// The finished samples, by the choice's number.
    /// - Parameter seconds: how long the attempt took.
    func replies(seconds: Double) -> [Int: RemoteReply] {
        let done = samples.indices.filter { samples[$0].finish != nil }
        let characters = done.map { max(samples[$0].text.text.utf8.count, 1) }
        let all = characters.reduce(0, +)
        var replies: [Int: RemoteReply] = [:]
        // The server counts all samples together; each gets its part by length, and the parts sum to the whole.
        var (seen, given) = (0, 0)
        for (position, index) in done.enumerated() {
            seen += characters[position]
            let upTo = (usage?.completionTokens ?? 0).share(seen, of: max(all, 1))
            let sample = samples[index]
            let cost = Usage(
                promptTokens: position == 0 ? usage?.promptTokens ?? 0 : 0, completionTokens: upTo - given,
                seconds: position == 0 ? seconds : 0)
            given = upTo
            let isNumbered = prompt != nil && !sample.ids.isEmpty
            var completion = Completion(
                text: sample.text.text, finish: sample.ending, usage: cost,
                tokens: isNumbered ? TokenIDs(prompt: prompt ?? [], completion: sample.ids) : nil,
                report: sample.numberedTokens)
            completion.promptReport = sample.promptReport(of: prompt ?? sent)
            replies[index] = RemoteReply(
                completion: completion, reasoning: sample.reasoning, calls: sample.finishedCalls)
        }
        return replies
    }
}

extension ReplyPart.Choice {
    /// The length of what the model wrote.
    fileprivate var bytes: Int {
        let delta = delta ?? message
        let thought = delta?.reasoning_content ?? delta?.reasoning ?? delta?.content?.reasoning
        let calls = (delta?.tool_calls ?? []).compactMap(\.function).flatMap { [$0.name, $0.arguments] }
        return ([text ?? delta?.content?.text, thought] + calls).reduce(0) { $0 + ($1?.utf8.count ?? 0) }
    }
}

extension ReplyAssembly.Sample {
    fileprivate mutating func add(_ part: ReplyPart.CallPart) {
        let index = part.index ?? calls.count
        guard index >= 0, index < 128 else { return }
        while calls.count <= index {
            calls.append(RemoteReply.Call(id: "", name: "", arguments: [:]))
            arguments.append("")
        }
        if let id = part.id, !id.isEmpty { calls[index].id = id }
        calls[index].name += part.function?.name ?? ""
        arguments[index] += part.function?.arguments ?? ""
    }

    fileprivate var finishedCalls: [RemoteReply.Call] {
        zip(calls, arguments).map { call, text in
            var call = call
            let parsed = try? JSONCoding.decoder.decode(JSONValue.self, from: text.utf8)
            call.arguments = parsed ?? (text.isEmpty ? [:] : .string(text))
            return call
        }
    }

    /// What was told of a prompt's tokens; empty unless it is of all of them.
    fileprivate func promptReport(of prompt: [Int32]) -> [GeneratedToken] {
        guard promptEntries.count == prompt.count, !prompt.isEmpty else { return [] }
        var report: [GeneratedToken] = []
        for (place, (id, entries)) in zip(prompt, promptEntries).enumerated() {
            let own = entries?["\(id)"]
            guard place == 0 || own != nil else { return [] }
            let likeliest = (entries ?? [:]).sorted { ($1.value.logprob, $0.key) < ($0.value.logprob, $1.key) }
            report.append(
                GeneratedToken(
                    id: id, bytes: Array((own?.decoded_token ?? "").utf8), logprob: place == 0 ? nil : own?.logprob,
                    alternatives: likeliest.map {
                        .init(
                            id: Int32($0.key), bytes: Array(($0.value.decoded_token ?? "").utf8),
                            logprob: $0.value.logprob)
                    }))
        }
        return report
    }

    /// The tokens with their numbers, where both were told and agree in count.
    fileprivate var numberedTokens: [GeneratedToken] {
        guard tokens.count == ids.count else { return tokens }
        return zip(tokens, ids).map { token, id in
            var token = token
            token.id = id
            return token
        }
    }

    fileprivate var ending: Completion.Finish {
        if let stop = text.stop ?? stopText { return .stop(stop) }
        return finish == "length" ? .length : .endOfTurn
    }
}

extension ReplyPart.LogProbabilities {
    fileprivate var asTokens: [GeneratedToken] {
        if let content {
            return content.map { entry in
                GeneratedToken(
                    id: entry.id, bytes: entry.bytes ?? Array(entry.token.utf8), logprob: entry.logprob,
                    alternatives: (entry.top_logprobs ?? []).map {
                        .init(id: $0.id, bytes: $0.bytes ?? Array($0.token.utf8), logprob: $0.logprob)
                    })
            }
        }
        return (tokens ?? []).enumerated().map { index, text in
            let values = token_logprobs ?? []
            let tops = top_logprobs ?? []
            let top = tops.indices.contains(index) ? tops[index] ?? [:] : [:]
            return GeneratedToken(
                id: nil, bytes: Array(text.utf8), logprob: values.indices.contains(index) ? values[index] : nil,
                alternatives: top.sorted { $0.value > $1.value }.map {
                    .init(id: nil, bytes: Array($0.key.utf8), logprob: $0.value)
                })
        }
    }
}

extension Int {
    /// A part of a whole, rounded down; the product may be beyond 64 bits.
    fileprivate func share(_ part: Int, of whole: Int) -> Int { Int(Int128(self) * Int128(part) / Int128(whole)) }
}
