import Foundation
import RetortCore

/// The interfaces of models whose calls are recorded.
public enum RecordedAPI: String, Sendable, Codable {
    /// OpenAI's `POST /v1/chat/completions`.
    case chatCompletions
    /// Anthropic's `POST /v1/messages`.
    case messages
}

/// What a model answered, read from the bytes that passed.
public enum RecordedReply {
    /// The replies of an answer in one piece; several where several were asked for.
    /// - Throws: `RecordingError.unreadable` for what is no answer.
    public static func replies(json bytes: some Sequence<UInt8>, _ api: RecordedAPI) throws -> [Dialogue.Reply] {
        guard let value = try? ExactJSON.value(of: bytes) else { throw RecordingError.unreadable("it is no JSON") }
        return try replies(value, api)
    }

    /// The replies of a stream of server-sent events.
    /// - Throws: `RecordingError` for a stream that broke off, tells an error, or is none.
    public static func replies(events bytes: some Sequence<UInt8>, _ api: RecordedAPI) throws -> [Dialogue.Reply] {
        var assembly = StreamAssembly(api)
        let text = String(decoding: Array(bytes), as: UTF8.self)
        for line in text.split(whereSeparator: { $0 == "\n" || $0 == "\r\n" || $0 == "\r" })
        where line.hasPrefix("data:") {
            let data = line.dropFirst("data:".count).trimmingBlanks
            if data == "[DONE]" {
                assembly.isComplete = true
                continue
            }
            guard let value = try? ExactJSON.value(of: data) else {
                throw RecordingError.broken("an event of the stream is no JSON")
            }
            if let error = value["error"], error != .null {
                throw RecordingError.broken(error["message"]?.string ?? error.jsonText)
            }
            assembly.take(value)
        }
        guard assembly.isComplete else { throw RecordingError.broken("the stream ended before the answer did") }
        return try replies(assembly.whole, api)
    }

    private static func replies(_ value: JSONValue, _ api: RecordedAPI) throws -> [Dialogue.Reply] {
        var notes = RecordNotes()
        var messages: [JSONValue] = []
        let usage: Usage
        switch api {
        case .chatCompletions:
            messages = (value["choices"]?.array ?? []).compactMap { $0["message"] }
            usage = Usage(
                promptTokens: value["usage"]?["prompt_tokens"]?.count ?? 0,
                completionTokens: value["usage"]?["completion_tokens"]?.count ?? 0)
        case .messages:
            if value["role"] == "assistant" { messages = [value] }
            usage = AnthropicMessages.usage(value["usage"])
        }
        var replies: [Dialogue.Reply] = []
        for message in messages {
            let entries: [Dialogue.Entry]
            do throws(RecordRejection) {
                entries =
                    try api == .messages
                    ? AnthropicMessages.entries(of: message, &notes)
                    : OpenAIMessages.entries([message], &notes).flatMap(\.self)
            } catch {
                throw RecordingError.unreadable(error.reason)
            }
            if case .reply(var reply)? = entries.first {
                // What several choices cost together is told once.
                if replies.isEmpty { reply.usage = usage }
                replies.append(reply)
            }
        }
        guard !replies.isEmpty else { throw RecordingError.unreadable("it has no message of the model") }
        return replies
    }
}

/// Why a call is no answer.
public enum RecordingError: Error, Equatable, CustomStringConvertible {
    /// What came is no answer in the interface's form.
    case unreadable(String)
    /// The answer broke off, or told an error.
    case broken(String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .unreadable(let reason): "the answer cannot be read: \(reason)"
        case .broken(let reason): reason
        }
    }
}

/// Puts the chunks of a stream together to the answer in one piece.
private struct StreamAssembly {
    private struct Choice {
        var text = ""
        var thought = ""
        var refusal = ""
        var calls: [Int: (id: String, name: String, arguments: String)] = [:]
    }

    private let api: RecordedAPI
    private var choices: [Int: Choice] = [:]
    private var usage: [String: JSONValue] = [:]
    private var blocks: [Int: [String: JSONValue]] = [:]
    private var inputs: [Int: String] = [:]
    private var hasFinished = false
    var isComplete = false

    init(_ api: RecordedAPI) { self.api = api }

    mutating func take(_ event: JSONValue) {
        switch api {
        case .chatCompletions: take(chunk: event)
        case .messages: take(message: event)
        }
    }

    private mutating func take(chunk: JSONValue) {
        if let told = chunk["usage"]?.object { usage.merge(told) { $1 } }
        for choice in chunk["choices"]?.array ?? [] {
            let index = choice["index"]?.count ?? 0
            let delta = choice["delta"]
            var known = choices[index] ?? Choice()
            known.text += delta?["content"]?.string ?? ""
            known.thought += delta?["reasoning_content"]?.string ?? delta?["reasoning"]?.string ?? ""
            known.refusal += delta?["refusal"]?.string ?? ""
            for (position, call) in (delta?["tool_calls"]?.array ?? []).enumerated() {
                let place = call["index"].map(\.count) ?? position
                var made = known.calls[place] ?? ("", "", "")
                if made.id.isEmpty { made.id = call["id"]?.string ?? "" }
                made.name += call["function"]?["name"]?.string ?? ""
                made.arguments += call["function"]?["arguments"]?.string ?? ""
                known.calls[place] = made
            }
            choices[index] = known
        }
    }

    private mutating func take(message event: JSONValue) {
        let index = event["index"]?.count ?? 0
        switch event["type"] {
        case "message_start": usage.merge(event["message"]?["usage"]?.object ?? [:]) { $1 }
        case "message_delta": usage.merge((event["usage"]?.object ?? [:]).filter { $0.value != .null }) { $1 }
        case "message_stop": isComplete = true
        case "content_block_start": blocks[index] = event["content_block"]?.object ?? [:]
        case "content_block_delta":
            let delta = event["delta"]
            for (name, kind) in [("text", "text"), ("thinking", "thinking"), ("signature", "signature")] {
                guard let more = delta?[kind]?.string else { continue }
                blocks[index, default: [:]][name] = .string((blocks[index]?[name]?.string ?? "") + more)
            }
            if let more = delta?["partial_json"]?.string { inputs[index, default: ""] += more }
        default: break
        }
    }

    /// The answer as it would have come in one piece.
    var whole: JSONValue {
        switch api {
        case .chatCompletions:
            let messages = choices.sorted { $0.key < $1.key }.map { _, choice -> JSONValue in
                let calls = choice.calls.sorted { $0.key < $1.key }.map { _, call -> JSONValue in
                    [
                        "id": .string(call.id), "type": "function",
                        "function": ["name": .string(call.name), "arguments": .string(call.arguments)],
                    ]
                }
                let message: JSONValue = [
                    "role": "assistant", "content": .string(choice.text), "reasoning_content": .string(choice.thought),
                    "refusal": .string(choice.refusal), "tool_calls": .array(calls),
                ]
                return ["message": message]
            }
            return ["choices": .array(messages), "usage": .object(usage)]
        case .messages:
            let content = blocks.sorted { $0.key < $1.key }.map { index, block -> JSONValue in
                guard let text = inputs[index], !text.isEmpty else { return .object(block) }
                return .object(block.merging(["input": (try? ExactJSON.value(of: text)) ?? .string(text)]) { $1 })
            }
            return ["role": "assistant", "content": .array(content), "usage": .object(usage)]
        }
    }
}
