import RetortCore

/// A chat format in which every turn is enclosed in markers, such as ChatML.
///
/// Every span between the markers is encoded separately, so marks fall exactly on tokens, and a prompt is a prefix of
/// the same chat with its answer. Text that looks like a special token stays text. What a published template adds of
/// its own (Llama 3.1's date, tool instructions) is not added: the messages contain everything that is said.
package struct TurnTemplate: ChatTemplate {
    /// The fixed texts of a format.
    struct Format: Sendable {
        let name: String
        /// Tokens that a tokenizer must have to be used with this format.
        let tokens: [String]
        /// The text before the first turn.
        var opening = ""
        /// The text before a turn's content; `{role}` is replaced by the speaker.
        let head: String
        let end: String
        /// The text after a turn's end.
        var gap = ""
        var assistant = "assistant"
        /// Whether there are system turns; if not, their text is put at the beginning of the next user turn.
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
                name: "Gemma 4", tokens: ["<|turn>", "<turn|>"], opening: "<bos>", head: "<|turn>{role}\n",
                end: "<turn|>", gap: "\n", assistant: "model"),
            Format(
                name: "Phi-4-mini", tokens: ["<|user|>", "<|assistant|>", "<|end|>"], head: "<|{role}|>",
                end: "<|end|>"),
        ]
    }

    /// The format's name, such as `ChatML`.
    package let name: String
    /// The token that ends a turn.
    package let endOfTurn: Int32
    private let format: Format

    /// Chooses the format whose markers the tokenizer has.
    /// - Throws: `TokenizerError.noChatFormat` when it has those of no known format.
    package init(_ tokenizer: Tokenizer) throws {
        guard
            let format = Format.all.first(where: { $0.tokens.allSatisfy { tokenizer.id(of: $0) != nil } }),
            let end = tokenizer.id(of: format.end)
        else { throw TokenizerError.noChatFormat(known: Format.all.map(\.name)) }
        self.format = format
        name = format.name
        endOfTurn = end
    }

    /// The tokens of a chat, each with its role and whether it is learned.
    package func render(
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
        // If the format has no tool role, tool messages are the user's.
        let speaker =
            role == .assistant ? format.assistant : role == .tool && !format.hasSystem ? "user" : role.rawValue
        return format.head.replacing("{role}", with: speaker)
    }

    /// The messages with only those roles that the format has.
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
