import Hummingbird
import RetortCore

/// Turns events into an answer in OpenAI's form, either in one piece or as the chunks of a stream.
protocol Answer: Sendable {
    associatedtype Event: BufferedEvent

    /// Takes an event of a stream.
    /// - Returns: the chunks to send for it.
    mutating func take(_ event: Event) throws -> [JSONValue]

    /// Takes an event of an answer in one piece.
    mutating func keep(_ event: Event) throws

    /// The answer in one piece, after the last event.
    func whole() throws -> JSONValue

    /// The stream's last chunk: usage, without choices.
    func closing(_ usage: JSONValue) -> JSONValue

    /// The tokens spent so far.
    var usage: Usage { get }

    /// A chunk as a server-sent event.
    static func event(_ chunk: JSONValue) -> String

    /// An error as the stream's last event.
    static func event(_ error: APIError) -> String

    /// What a successful stream closes with; nil for nothing.
    static var lastEvent: String? { get }
}

/// OpenAI's streams.
extension Answer {
    static func event(_ chunk: JSONValue) -> String { "data: \(ExactJSON.text(chunk))\n\n" }
    static func event(_ error: APIError) -> String { event(error.body) }
    static var lastEvent: String? { "data: [DONE]\n\n" }
}

/// The members that all objects of an answer begin with.
struct AnswerHead: Sendable {
    let id: String
    let model: String
    /// In seconds since 1970.
    let created: Int

    /// An object with these members.
    func object(_ kind: String, _ members: [String: JSONValue]) -> JSONValue {
        .object(
            ["id": .string(id), "object": .string(kind), "created": .integer(created), "model": .string(model)]
                .merging(members) { $1 })
    }
}

extension Usage {
    var json: JSONValue {
        [
            "prompt_tokens": .integer(promptTokens), "completion_tokens": .integer(completionTokens),
            "total_tokens": .integer(promptTokens + completionTokens),
        ]
    }
}

extension Completion.Finish {
    /// OpenAI's `finish_reason`.
    var reason: JSONValue {
        switch self {
        case .endOfTurn, .stop: "stop"
        case .length: "length"
        }
    }

    /// vLLM's `stop_reason`: the stop text that ended the answer, if one did.
    var stopText: JSONValue { if case .stop(let text) = self { .string(text) } else { .null } }
}

extension GeneratedToken {
    /// Minus infinity has no JSON number; OpenAI writes -9999.
    private static func finite(_ logprob: Double) -> JSONValue { .number(max(logprob, -9999)) }

    private static func entry(_ bytes: [UInt8], _ logprob: Double) -> [String: JSONValue] {
        [
            "token": .string(String(decoding: bytes, as: UTF8.self)), "logprob": finite(logprob),
            "bytes": .array(bytes.map { .integer(Int($0)) }),
        ]
    }

    /// One element of a chat's `logprobs.content`.
    private var chatEntry: JSONValue {
        .object(
            Self.entry(bytes, logprob ?? 0).merging([
                "top_logprobs": .array(alternatives.map { .object(Self.entry($0.bytes, $0.logprob)) })
            ]) { $1 })
    }

    /// A chat's `logprobs`; tokens that end a turn are not part of the text and are left out.
    static func chatLogprobs(_ tokens: [GeneratedToken]) -> JSONValue {
        ["content": .array(tokens.filter { !$0.endsTurn }.map(\.chatEntry)), "refusal": .null]
    }

    /// A completion's `logprobs`.
    /// - Parameter start: how many characters of the completion precede the first token.
    static func completionLogprobs(_ tokens: [GeneratedToken], from start: Int) -> JSONValue {
        let shown = tokens.filter { !$0.endsTurn }
        let texts = shown.map { String(decoding: $0.bytes, as: UTF8.self) }
        let offsets = texts.dropLast().reduce(into: [start]) { $0.append(($0.last ?? 0) + $1.count) }
        return [
            "tokens": .array(texts.map(JSONValue.string)),
            "token_logprobs": .array(shown.map { finite($0.logprob ?? 0) }),
            "top_logprobs": .array(
                shown.map { token in
                    .object(
                        Dictionary(
                            token.alternatives.map {
                                (String(decoding: $0.bytes, as: UTF8.self), finite($0.logprob))
                            }, uniquingKeysWith: { likelier, _ in likelier }))
                }),
            "text_offset": .array(offsets.prefix(shown.count).map(JSONValue.integer)),
        ]
    }

    /// A prompt's `prompt_logprobs`, in vLLM's form: null for the first token; for each other one the token itself
    /// and the likeliest ones at its place, by token number.
    static func promptLogprobs(_ tokens: [GeneratedToken]) -> JSONValue {
        .array(
            tokens.map { token in
                guard let own = token.logprob, let id = token.id else { return .null }
                func entry(_ bytes: [UInt8], _ logprob: Double, rank: Int?) -> JSONValue {
                    [
                        "logprob": finite(logprob), "rank": rank.map(JSONValue.integer) ?? .null,
                        "decoded_token": .string(String(decoding: bytes, as: UTF8.self)),
                    ]
                }
                let rank = token.alternatives.firstIndex { $0.id == id }
                var entries = ["\(id)": entry(token.bytes, own, rank: rank.map { $0 + 1 })]
                for (place, other) in token.alternatives.enumerated() {
                    guard let number = other.id, number != id else { continue }
                    entries["\(number)"] = entry(other.bytes, other.logprob, rank: place + 1)
                }
                return .object(entries)
            })
    }

    static func ids(_ tokens: [GeneratedToken]) -> JSONValue {
        .array(tokens.map { $0.id.map { .integer(Int($0)) } ?? .null })
    }
}
