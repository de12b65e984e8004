import RetortCore

/// The code agent's view: thought and Python program in each of its turns, observations as the user's.
public struct CodeAgentView: View {
    /// What a student learns from an answer that had to be asked for at the step limit.
    public enum ForcedAnswers: String, Codable, Sendable, CaseIterable {
        /// Nothing: only the turns it took by itself.
        case leftOut
        /// To answer when asked, from an example of its own in which nothing else is trainable.
        case trained
    }

    /// How much the system prompt says.
    public let instructions: Instructions
    /// The functions the agent may call, `final_answer` aside.
    public let tools: [ToolSpecification]
    /// What the agent is told about its job, before anything else; nil for nothing.
    public let guidance: String?
    /// What becomes of forced answers in training.
    public let forcedAnswers: ForcedAnswers

    /// - Parameters:
    ///   - tools: the functions the agent may call, `final_answer` aside.
    ///   - guidance: what it is told about its job; nil for nothing.
    public init(
        instructions: Instructions, tools: [ToolSpecification], guidance: String? = nil,
        forcedAnswers: ForcedAnswers = .leftOut
    ) {
        self.instructions = instructions
        self.tools = tools
        self.guidance = guidance
        self.forcedAnswers = forcedAnswers
    }

    /// Asks for the program that answers.
    public var lastCall: Message { Message(.user, "No steps are left. Call final_answer now.") }

    /// A message for each turn and each observation, behind the system prompt and the question.
    public func messages(for trajectory: Trajectory) -> [Message] { messages(for: trajectory, learning: .all) }

    private func messages(for trajectory: Trajectory, learning learned: LearnedSteps) -> [Message] {
        guard trajectory.endsForced, let answer = trajectory.steps.last else {
            return chat(trajectory, trajectory.steps[...], isOpen: trajectory.ending == nil, learned)
        }
        return chat(trajectory, trajectory.steps.dropLast(), isOpen: true, learned)
            + [lastCall, Self.message(answer, isLearned: learned.contains(trajectory.steps.count - 1))]
    }

    /// The whole chat; of a forced answer only the turns before it, or also the answer by itself (`forcedAnswers`).
    public func examples(for trajectory: Trajectory, learning steps: LearnedSteps) -> [[Message]] {
        var examples = [messages(for: trajectory, learning: steps)]
        if trajectory.endsForced {
            let own = trajectory.steps.dropLast()
            examples = own.isEmpty ? [] : [chat(trajectory, own, isOpen: false, steps)]
            if forcedAnswers == .trained {
                // The earlier turns are learned from the first example; here they are only what the answer rests on.
                let messages = messages(for: trajectory, learning: steps)
                examples.append(messages.dropLast().map { Message($0.role, $0.text) } + messages.suffix(1))
            }
        }
        guard steps != .all else { return examples }
        return examples.filter { $0.contains { $0.spans.contains(where: \.trainable) } }
    }

    /// An agent's turn as text; `ActionParser.codeTurn` reads it back.
    public static func turn(_ thought: String, _ action: Action) -> String {
        switch action {
        case .code(let program): turn(thought, program)
        case .answer(let value): turn(thought, "final_answer(\(PythonLiteral.of(value)))")
        case .toolCall(let name, let arguments): turn(thought, "print(\(name)(\(PythonLiteral.keywords(arguments))))")
        case .giveUp(let reason):
            turn(thought, "final_answer(None)  # \(reason.split(whereSeparator: \.isNewline).joined(separator: " "))")
        case .unparsable(let text, _): text
        }
    }

    private static func turn(_ thought: String, _ program: String) -> String {
        "Thought: \(thought)\nCode:\n\(FencedBlocks.block(program))"
    }

    private static func message(_ step: Step, isLearned: Bool) -> Message {
        // What others did is shown, and not learned.
        Message(.assistant, turn(step.thought, step.action), trainable: isLearned && step.speaker == "agent")
    }

    /// - Parameter isOpen: whether the agent speaks next; nobody reads what follows the last step of a finished run.
    private func chat(_ trajectory: Trajectory, _ steps: ArraySlice<Step>, isOpen: Bool, _ learned: LearnedSteps)
        -> [Message]
    {
        var messages = [
            Message(.system, CodeAgentPrompt.text(instructions, tools: tools).guided(by: guidance)),
            Message(.user, trajectory.task.question),
        ]
        for (index, step) in zip(steps.indices, steps) {
            messages.append(Self.message(step, isLearned: learned.contains(index)))
            messages.append(Message(.user, "Observation:\n\(step.observation.text)"))
        }
        if !isOpen, !steps.isEmpty { messages.removeLast() }
        return messages
    }
}
