import RetortCore

/// The view of a model that answers in one go: reasoning, then the answer, over the question and any passages that were
/// fetched for it.
public struct ChainOfThoughtView: View {
    /// How much the system prompt says.
    public let instructions: Instructions

    /// Who fetches passages before the model speaks: the speaker of a retrieval step.
    public static let retriever = "retriever"

    /// What the model is told about its job, before anything else; nil for nothing.
    public let guidance: String?

    /// - Parameter guidance: what the model is told about its job; nil for nothing.
    public init(instructions: Instructions, guidance: String? = nil) {
        self.instructions = instructions
        self.guidance = guidance
    }

    /// The passages and the question as one message of the user, then what was written.
    public func messages(for trajectory: Trajectory) -> [Message] { messages(for: trajectory, learning: .all) }

    /// The whole chat, or none where nothing of it is learned.
    public func examples(for trajectory: Trajectory, learning steps: LearnedSteps) -> [[Message]] {
        steps == .all || trajectory.teaches(steps) ? [messages(for: trajectory, learning: steps)] : []
    }

    private func messages(for trajectory: Trajectory, learning learned: LearnedSteps) -> [Message] {
        let passages = trajectory.steps
            .filter { $0.speaker == Self.retriever && !$0.observation.outcome.isFailure }
            .map(\.observation.text)
        let question = (passages + [trajectory.task.question]).joined(separator: "\n\n")
        var messages = [Message(.system, systemPrompt.guided(by: guidance)), Message(.user, question)]
        for (index, step) in trajectory.steps.enumerated() where step.speaker != Self.retriever {
            if case .giveUp = step.action { continue }
            messages.append(
                Message(.assistant, Self.turn(step.thought, step.action), trainable: learned.contains(index)))
        }
        return messages
    }

    /// A reasoner's turn as text; `ActionParser.reasonedTurn` reads it back. The answer stands on one line.
    public static func turn(_ thought: String, _ action: Action) -> String {
        switch action {
        case .answer(let value):
            (thought.isEmpty ? "" : "\(thought)\n")
                + "Answer: \(value.text.split(whereSeparator: \.isNewline).joined(separator: " "))"
        case .unparsable(let text, _): text
        case .code, .toolCall, .giveUp: thought
        }
    }

    private var systemPrompt: String {
        switch instructions {
        case .brief: "Think, then answer."
        case .full:
            """
            Solve the task by careful reasoning. Break it into steps, be precise, and say so when you are not sure. \
            Close with one line of the form

            Answer: your answer

            with nothing but the answer in it: a name, a date, yes or no, or for mathematics an exact value.
            """
        }
    }
}
