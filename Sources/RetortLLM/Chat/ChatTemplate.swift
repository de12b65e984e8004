import RetortCore

/// Turns a chat into tokens: the one renderer for training, acting and serving.
public protocol ChatTemplate: Sendable {
    /// The token that closes a turn.
    var endOfTurn: Int32 { get }

    /// Renders a chat.
    /// - Parameter ending: whether the model writes the next assistant message.
    func render(_ messages: [Message], then ending: ChatEnding, with tokenizer: Tokenizer) throws -> RenderedChat
}

/// How a rendered chat ends.
public enum ChatEnding: Sendable {
    /// As it is: for training.
    case nothing
    /// With the head of an assistant message and the start of its text: for acting.
    case generation(prefill: String = "")
}

/// A chat as the model sees it. All arrays are of one length.
public struct RenderedChat: Sendable, Equatable {
    /// The tokens.
    public var tokens: [Int32] = []
    /// For each token, whether the student learns to write it.
    public var trainable: [Bool] = []
    /// For each token, whose message it belongs to.
    public var roles: [Role] = []

    public init() {}

    mutating func append(_ ids: [Int32], _ role: Role, trainable isTrainable: Bool) {
        tokens += ids
        trainable += Array(repeating: isTrainable, count: ids.count)
        roles += Array(repeating: role, count: ids.count)
    }
}

/// ChatML, as Qwen2 and its successors use it.
///
/// Every span is encoded on its own between the special tokens, so a span's mark falls on its tokens exactly, and a
/// prompt is a prefix of the same chat with its answer. Text that looks like a special token stays text.
public struct ChatML: ChatTemplate {
    private let start: Int32
    public let endOfTurn: Int32
    private let newline: [Int32]

    public init(_ tokenizer: Tokenizer) throws {
        guard let start = tokenizer.id(of: "<|im_start|>") else { throw TokenizerError.missingToken("<|im_start|>") }
        guard let end = tokenizer.id(of: "<|im_end|>") else { throw TokenizerError.missingToken("<|im_end|>") }
        self.start = start
        endOfTurn = end
        newline = tokenizer.encode("\n", specials: .asText)
    }

    public func render(
        _ messages: [Message], then ending: ChatEnding, with tokenizer: Tokenizer
    ) throws -> RenderedChat {
        var chat = RenderedChat()
        for message in messages {
            head(message.role, &chat, tokenizer)
            for span in message.spans {
                chat.append(
                    tokenizer.encode(span.text, specials: .asText), message.role, trainable: span.trainable)
            }
            chat.append([endOfTurn], message.role, trainable: message.endsTrainable)
            chat.append(newline, message.role, trainable: false)
        }
        if case .generation(let prefill) = ending {
            head(.assistant, &chat, tokenizer)
            chat.append(tokenizer.encode(prefill, specials: .asText), .assistant, trainable: false)
        }
        return chat
    }

    private func head(_ role: Role, _ chat: inout RenderedChat, _ tokenizer: Tokenizer) {
        chat.append([start], role, trainable: false)
        chat.append(tokenizer.encode(role.rawValue, specials: .asText) + newline, role, trainable: false)
    }
}
