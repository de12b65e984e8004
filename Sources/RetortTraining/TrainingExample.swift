import RetortAgents
import RetortCore
import RetortLLM

/// One sample as the network sees it: tokens, how much each of them counts, and by which loss.
public struct TrainingExample: Codable, Sendable, Hashable {
    /// Where it comes from, for messages: a trajectory's id.
    public var id: String
    /// The tokens, in order.
    public var tokens: [Int32]
    /// For each token, how much the student learns from it; 0 is only read.
    public var weights: [Float]
    /// What is learned by.
    public var loss: SampleLoss
    /// Samples of one unit are in one row, such as the two texts of a pair; nil stands alone.
    public var unit: String?

    /// A sample of which some tokens are learned and the others only read.
    /// - Parameter trainable: as many as `tokens`.
    public init(id: String, tokens: [Int32], trainable: [Bool]) {
        self.init(id: id, tokens: tokens, weights: trainable.map { $0 ? 1 : 0 })
    }

    /// - Parameter weights: as many as `tokens`.
    public init(
        id: String, tokens: [Int32], weights: [Float], loss: SampleLoss = .imitation, unit: String? = nil
    ) {
        self.id = id
        self.tokens = tokens
        self.weights = weights
        self.loss = loss
        self.unit = unit
    }

    /// A text to be learned whole, as in pretraining, closed by the end-of-text token.
    public init(document: String, id: String, tokenizer: Tokenizer, endOfText: Int32) {
        let tokens = tokenizer.encode(document, specials: .asText) + [endOfText]
        self.init(id: id, tokens: tokens, trainable: Array(repeating: true, count: tokens.count))
    }

    /// For each token, whether it is a target of the loss.
    public var trainable: [Bool] { weights.map { $0 != 0 } }

    /// How many tokens the loss is taken over. The first token of a sample is never predicted.
    public var targetCount: Int { weights.dropFirst().count { $0 != 0 } }

    /// Whether its loss is a cross-entropy with weights of 0 and 1 alone.
    var isPlain: Bool { loss == .imitation && weights.allSatisfy { $0 == 0 || $0 == 1 } }
}

/// What to do with a sample that is longer than the context. Nothing is ever cut without a word.
public enum OverlongPolicy: String, Codable, Sendable, CaseIterable {
    /// Leave the sample out, and count it.
    case drop
    /// Shorten the longest observations, with a visible mark, until it fits; drop it when it still does not.
    case shortenObservations
    /// End the sample after the last turn that fits; drop it when no trainable turn does.
    case splitAtTurn
}

/// The samples of a training run and what became of the overlong ones.
public struct TrainingSet: Sendable {
    /// Ready samples.
    public var examples: [TrainingExample]
    /// How many samples were longer than the limit.
    public var overlong = 0
    /// The lengths of those that were left out for it, in tokens.
    public var droppedLengths: [Int] = []
    /// How many were left out.
    public var dropped: Int { droppedLengths.count }
    /// How many had observations shortened.
    public var shortened = 0
    /// How many were ended at a turn.
    public var split = 0

    /// Renders trajectories through a view: the same text, and the same renderer, as while acting.
    /// - Parameters:
    ///   - limit: the longest sample, in tokens.
    ///   - policy: what happens to a longer one.
    public init(
        _ trajectories: [Trajectory], view: any View, template: any ChatTemplate, tokenizer: Tokenizer, limit: Int,
        overlong policy: OverlongPolicy
    ) throws {
        try self.init(
            trajectories.map { Lesson($0) }, view: view, template: template, tokenizer: tokenizer, limit: limit,
            overlong: policy)
    }

    /// The same of trajectories of which some steps are learned.
    public init(
        _ lessons: [Lesson], view: any View, template: any ChatTemplate, tokenizer: Tokenizer, limit: Int,
        overlong policy: OverlongPolicy
    ) throws {
        examples = []
        for lesson in lessons {
            let (trajectory, steps) = (lesson.trajectory, lesson.steps)
            for (index, messages) in view.examples(for: trajectory, learning: steps).enumerated() {
                let id = index == 0 ? trajectory.id : "\(trajectory.id)#\(index)"
                var example = try Self.render(messages, id, template, tokenizer)
                if example.tokens.count > limit {
                    overlong += 1
                    let shorter = { (characters: Int) -> [Message] in
                        let shown = view.showing(observationsUpTo: characters).examples(
                            for: trajectory, learning: steps)
                        let messages = shown.count > index ? shown[index] : messages
                        return messages.enumerated().map { $0 < 2 ? $1 : $1.shortened(to: characters) }
                    }
                    guard let fitted = try fit(messages, shorter, id, template, tokenizer, limit, policy) else {
                        droppedLengths.append(example.tokens.count)
                        continue
                    }
                    example = fitted
                }
                examples.append(example)
            }
        }
    }

    /// A set of ready samples.
    public init(_ examples: [TrainingExample]) { self.examples = examples }

    /// Puts another set's samples and counts behind this one's.
    public static func += (set: inout TrainingSet, other: TrainingSet) {
        set.examples += other.examples
        set.overlong += other.overlong
        set.droppedLengths += other.droppedLengths
        set.shortened += other.shortened
        set.split += other.split
    }

    /// Tokens, over all samples.
    public var tokenCount: Int { examples.reduce(0) { $0 + $1.tokens.count } }

    /// How long the longest sample must be allowed to be for at most a twentieth of all to be left out, in tokens.
    public var ampleLimit: Int? {
        let sorted = droppedLengths.sorted()
        let spared = (examples.count + dropped) / 20
        return sorted.isEmpty ? nil : sorted[max(0, sorted.count - 1 - spared)]
    }

    private static func render(
        _ messages: [Message], _ id: String, _ template: any ChatTemplate, _ tokenizer: Tokenizer
    ) throws -> TrainingExample {
        let chat = try template.render(messages, then: .nothing, with: tokenizer)
        try Preflight.check(chat, id: id, endOfTurn: template.endOfTurn)
        return TrainingExample(id: id, tokens: chat.tokens, trainable: chat.trainable)
    }

    private mutating func fit(
        _ messages: [Message], _ shorter: (Int) -> [Message], _ id: String, _ template: any ChatTemplate,
        _ tokenizer: Tokenizer, _ limit: Int, _ policy: OverlongPolicy
    ) throws -> TrainingExample? {
        switch policy {
        case .drop:
            return nil
        case .shortenObservations:
            for characters in [2000, 1000, 500, 250, 120] {
                let example = try Self.render(shorter(characters), id, template, tokenizer)
                if example.tokens.count <= limit {
                    shortened += 1
                    return example
                }
            }
            return nil
        case .splitAtTurn:
            for end in messages.indices.reversed() where messages[end].endsTrainable {
                let example = try Self.render(Array(messages[...end]), id, template, tokenizer)
                if example.tokens.count <= limit {
                    split += 1
                    return example
                }
            }
            return nil
        }
    }
}

extension Message {
    /// The message with its untrainable text cut to a length, and a mark that says so.
    fileprivate func shortened(to limit: Int) -> Message {
        guard role != .assistant, text.count > limit else { return self }
        return Message(role, "\(text.prefix(limit))… [\(text.count - limit) characters left out]")
    }
}
