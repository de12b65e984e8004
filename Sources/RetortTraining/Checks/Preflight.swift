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
        case weightNotFinite(id: String, place: Int)
        case uneven(id: String, what: String, count: Int, tokens: Int)
        case loneText(id: String, unit: String)

        /// What went wrong, and what to do.
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
            case .weightNotFinite(let id, let place):
                "sample \(id) gives its token \(place) a weight that is no finite number"
            case .uneven(let id, let what, let count, let tokens):
                "sample \(id) has \(tokens) tokens, but \(count) \(what); each token needs one of its own"
            case .loneText(let id, let unit):
                "sample \(id) is one side of the pair '\(unit)', and the other is not there or there are several; "
                    + "a preference needs one winner and one loser"
            }
        }
    }

    /// Checks samples before they are packed.
    public static func check(_ examples: [TrainingExample]) throws {
        var sides: [String: (chosen: Int, rejected: Int)] = [:]
        for example in examples {
            try check(example)
            guard case .preference(let preference) = example.loss, let unit = example.unit else { continue }
            if preference.side == .chosen { sides[unit, default: (0, 0)].chosen += 1 }
            if preference.side == .rejected { sides[unit, default: (0, 0)].rejected += 1 }
        }
        for example in examples {
            guard case .preference(let preference) = example.loss,
                preference.side == .chosen || preference.side == .rejected
            else { continue }
            let unit = example.unit ?? "no unit"
            guard let known = sides[unit], known == (1, 1) else { throw Refusal.loneText(id: example.id, unit: unit) }
        }
    }

    private static func check(_ example: TrainingExample) throws {
        var lists = [("weights", example.weights.count)]
        switch example.loss {
        case .imitation, .preference: break
        case .policy(let stream):
            lists.append(("advantages", stream.advantages.count))
            if let drawn = stream.drawn { lists.append(("drawn log-probabilities", drawn.count)) }
            if let reference = stream.reference { lists.append(("reference log-probabilities", reference.count)) }
        case .distance(let choices): lists.append(("lists of a teacher's choices", choices.count))
        }
        for (what, count) in lists where count != example.tokens.count {
            throw Refusal.uneven(id: example.id, what: what, count: count, tokens: example.tokens.count)
        }
        if let place = example.weights.firstIndex(where: { !$0.isFinite }) {
            throw Refusal.weightNotFinite(id: example.id, place: place)
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
        let trainable = example.trainable
        while start < example.tokens.count {
            let isTrainable = trainable[start]
            let end = trainable[start...].firstIndex { $0 != isTrainable } ?? example.tokens.count
            let piece = tokenizer.decode(Array(example.tokens[start..<end]), specials: .kept)
            text += isTrainable ? "⟦\(piece)⟧" : piece
            start = end
        }
        return text
    }
}
