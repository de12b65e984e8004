import RetortCore
import RetortLLM

/// Looks at a training set before a run, and refuses what would train the wrong thing in silence.
public struct Preflight: Sendable {
    /// Why a run is refused.
    public enum Refusal: Error, CustomStringConvertible, Equatable {
        case noExamples
        case nothingTrainable(id: String)
        case foreignTokenTrainable(id: String, role: Role, token: String)
        case stopTokenMasked(id: String)
        case overlong(count: Int, dropped: Int, limit: Int)

        public var description: String {
            switch self {
            case .noExamples: "there is no sample to train on; check the filters and the teacher's trajectories"
            case .nothingTrainable(let id):
                "sample \(id) has no trainable token; its view marks nothing for the student to learn"
            case .foreignTokenTrainable(let id, let role, let token):
                "sample \(id) would train on the \(role.rawValue)'s token '\(token)'; "
                    + "only the student's own turns may be trainable"
            case .stopTokenMasked(let id):
                "sample \(id) masks the end-of-turn token of a trainable turn, so the student would never learn to "
                    + "stop; mark the turn's last span trainable"
            case .overlong(let count, let dropped, let limit):
                "\(count) samples are longer than \(limit) tokens and all \(dropped) of them would be dropped, which "
                    + "leaves nothing; raise maxTokens or choose another rule for overlong samples"
            }
        }
    }

    /// Checks one chat as the template renders it.
    public static func check(_ chat: RenderedChat, id: String, endOfTurn: Int32) throws {
        guard chat.trainable.contains(true) else { throw Refusal.nothingTrainable(id: id) }
        for (index, isTrainable) in chat.trainable.enumerated() where isTrainable {
            let role = chat.roles[index]
            guard role == .assistant else {
                throw Refusal.foreignTokenTrainable(id: id, role: role, token: "\(chat.tokens[index])")
            }
        }
        for index in chat.tokens.indices.dropFirst()
        where chat.tokens[index] == endOfTurn && chat.trainable[index - 1] && !chat.trainable[index] {
            throw Refusal.stopTokenMasked(id: id)
        }
    }

    /// One sample as text, trainable tokens in ⟦ ⟧, for people to look at before a run.
    public static func display(_ example: TrainingExample, tokenizer: Tokenizer) -> String {
        var text = ""
        var start = 0
        while start < example.tokens.count {
            let isTrainable = example.trainable[start]
            let end = example.trainable[start...].firstIndex { $0 != isTrainable } ?? example.tokens.count
            let piece = tokenizer.decode(Array(example.tokens[start..<end]), specials: .kept)
            text += isTrainable ? "⟦\(piece)⟧" : piece
            start = end
        }
        return text
    }
}
