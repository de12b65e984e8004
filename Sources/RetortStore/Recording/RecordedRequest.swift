import Crypto
import Foundation
import RetortCore

/// A request to a model, read from the bytes that passed. No header is part of it.
public struct RecordedRequest: Sendable {
    /// The content of each message, in order; instructions outside the messages come first.
    let messages: [[Dialogue.Entry]]
    /// A digest of each message: of its content, independent of its notation.
    let digests: [String]
    let model: String
    let tools: [ToolDocument]
    let notes: RecordNotes

    /// - Throws: `RecordingError.unreadable` for a request whose messages no trajectory can hold.
    public init(json bytes: some Sequence<UInt8>, _ api: RecordedAPI) throws {
        guard let value = try? ExactJSON.value(of: bytes) else {
            throw RecordingError.unreadable("the request is no JSON")
        }
        guard let list = value["messages"]?.array, !list.isEmpty else {
            throw RecordingError.unreadable("the request has no messages")
        }
        var notes = RecordNotes()
        var messages: [[Dialogue.Entry]] = []
        do throws(RecordRejection) {
            switch api {
            case .chatCompletions: messages = try OpenAIMessages.entries(list, &notes)
            case .messages:
                if let system = value["system"], !system.isVoid {
                    messages.append([.system(try OpenAIMessages.text(system, of: "the instructions", &notes))])
                }
                for message in list { messages.append(try AnthropicMessages.entries(of: message, &notes)) }
            }
        } catch {
            throw RecordingError.unreadable("the request: \(error.reason)")
        }
        self.messages = messages
        digests = try messages.map(Self.digest)
        model = value["model"]?.words ?? "unknown"
        tools = RecordedTools.documents(of: value, &notes)
        self.notes = notes
    }

    /// A text has the same digest with and without blanks around it, in one part or several.
    private static func digest(_ entries: [Dialogue.Entry]) throws -> String {
        let plain = entries.map { entry -> Dialogue.Entry in
            switch entry {
            case .system(let text): .system(text.trimmingBlanks)
            case .context(let text): .context(text.trimmingBlanks)
            case .user(let text): .user(text.trimmingBlanks)
            case .result(var result):
                {
                    result.text = result.text.trimmingBlanks; return .result(result)
                }()
            case .reply(var reply):
                {
                    reply.text = reply.text.trimmingBlanks; reply.thought = ""; return .reply(reply)
                }()
            }
        }
        let hash = SHA256.hash(data: try ExactJSON.encode(plain))
        return hash.prefix(12).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The user's words in a message that consists of words alone; nil for any other message.
    func words(_ index: Int) -> String? {
        guard messages.indices.contains(index), messages[index].count == 1, case .user(let text) = messages[index][0]
        else {
            return nil
        }
        return text
    }

    /// How many messages at the beginning are instructions.
    var instructions: Int {
        messages.prefix { $0.allSatisfy { if case .system = $0 { true } else { false } } }.count
    }
}
