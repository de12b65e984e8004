import RetortCore

/// A chat format in which every turn stands between markers: ChatML and its kin.
///
/// Every span is encoded on its own between the markers, so a span's mark falls on its tokens exactly, and a prompt is a
/// prefix of the same chat with its answer. Text that looks like a special token stays text. What a published template
/// adds of its own (Llama 3.1's date, tool instructions) is not added: a view says all that is said.
public struct TurnTemplate: ChatTemplate {
    /// What stands where.
    struct Format: Sendable {
        let name: String
        /// Tokens that a tokenizer with this format has.
        let tokens: [String]
        /// Before the first turn.
        var opening = ""
        /// Before a turn's text; `{role}` is who speaks.
        let head: String
        let end: String
        /// Behind a turn's end.
        var gap = ""
        var assistant = "assistant"
        /// Whether there are system turns; where not, their text begins the next user turn.
        var hasSystem = true

        static let all = [
            Format(
                name: "ChatML", tokens: ["<|im_start|>", "<|im_end|>"], head: "<|im_start|>{role}\n",
                end: "<|im_end|>", gap: "\n"),
            Format(
                name: "Llama 3", tokens: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
                opening: "<|begin_of_text|>", head: "<|start_header_id|>{role}<|end_header_id|>\n\n",
                end: "<|eot_id|>"),
            Format(
                name: "Gemma", tokens: ["<start_of_turn>", "<end_of_turn>"], opening: "<bos>",
                head: "<start_of_turn>{role}\n", end: "<end_of_turn>", gap: "\n", assistant: "model", hasSystem: false),
            Format(
                name: "Phi-4-mini", tokens: ["<|user|>", "<|assistant|>", "<|end|>"], head: "<|{role}|>",
                end: "<|end|>"),
        ]
    }

    /// The format's name, such as `ChatML`.
    public let name: String
    public let endOfTurn: Int32
    private let format: Format

    /// The format whose markers the tokenizer has.
    /// - Throws: `TokenizerError.noChatFormat` when it has none of the known ones'.
    public init(_ tokenizer: Tokenizer) throws {
        guard
            let format = Format.all.first(where: { $0.tokens.allSatisfy { tokenizer.id(of: $0) != nil } }),
            let end = tokenizer.id(of: format.end)
        else { throw TokenizerError.noChatFormat(known: Format.all.map(\.name)) }
        self.format = format
        name = format.name
        endOfTurn = end
    }

    /// The tokens of a chat, each with its role and mark.
    public func render(
        _ messages: [Message], then ending: ChatEnding, with tokenizer: Tokenizer
    ) throws -> RenderedChat {
        var chat = RenderedChat()
        func mark(_ text: String, _ role: Role) {
            guard !text.isEmpty else { return }
            chat.append(tokenizer.encode(text, specials: .recognised), role, trainable: false)
        }
        mark(format.opening, .system)
        for message in turns(of: messages.map(\.withCallsAsText)) {
            mark(head(message.role), message.role)
            for span in message.spans {
                chat.append(
                    tokenizer.encode(span.text, specials: .asText), message.role, trainable: span.trainable)
            }
            chat.append([endOfTurn], message.role, trainable: message.endsTrainable)
            mark(format.gap, message.role)
        }
        if case .generation(let prefill) = ending {
            mark(head(.assistant), .assistant)
            chat.append(tokenizer.encode(prefill, specials: .asText), .assistant, trainable: false)
        }
        return chat
    }

    private func head(_ role: Role) -> String {
        // What a tool said is the user's turn where a format knows no other.
        let speaker =
            role == .assistant ? format.assistant : role == .tool && !format.hasSystem ? "user" : role.rawValue
        return format.head.replacing("{role}", with: speaker)
    }

    /// The messages as turns that the format has.
    private func turns(of messages: [Message]) -> [Message] {
        guard !format.hasSystem else { return messages }
        var turns: [Message] = []
        var preface: [Message.Span] = []
        for var message in messages {
            if message.role == .system {
                preface += message.spans + [Message.Span("\n\n")]
            } else {
                if message.role == .user, !preface.isEmpty {
                    message.spans = preface + message.spans
                    preface = []
                }
                turns.append(message)
            }
        }
        return preface.isEmpty ? turns : turns + [Message(role: .user, spans: preface)]
    }
}
