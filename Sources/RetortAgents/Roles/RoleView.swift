import RetortCore

/// How a trajectory looks to one of α-UMi's roles (arXiv 2401.07324, section 3.2), or to the single model.
///
/// The tool documents come first, then the dialogue, then what the role is asked to do, so that all roles' prompts begin
/// alike and are read, or trained on, once for all that they share. The whole dialogue is one user message of a span for
/// each utterance: any chat template has room for it. A student learns one turn an example.
public struct RoleView: View {
    /// What a call looks like.
    public enum CallForm: String, Codable, Sendable, CaseIterable {
        /// `Action: name`, `Action Input: {…}`.
        case json
        /// A Python program.
        case program
    }

    /// Characters that observations show when nobody says otherwise.
    public static let usualObservationLimit = 1024

    /// A turn that marks a call of a made-up function in ToolBench's data.
    public static let inventedName = "invalid_hallucination_function_name"

    /// Whose view it is.
    public let role: AgentRole
    /// How much the prompt says.
    public let instructions: Instructions
    /// What a call looks like.
    public let callForm: CallForm
    /// Observations show at most so many characters.
    public let observationLimit: Int
    /// The tools of tasks that come with none of their own.
    public let tools: [ToolDocument]
    /// What the role is told about the job, before anything else; nil for nothing.
    public let guidance: String?

    /// - Parameters:
    ///   - instructions: brief for a student that learned the form, full for a model that knows nothing of it.
    ///   - tools: of tasks that come with none of their own.
    ///   - observationLimit: in characters; what is longer ends with a mark that says how many are left out.
    public init(
        _ role: AgentRole, instructions: Instructions, callForm: CallForm = .json,
        observationLimit: Int = usualObservationLimit,
        tools: [ToolDocument] = [], guidance: String? = nil
    ) {
        self.tools = tools
        self.guidance = guidance
        self.role = role
        self.instructions = instructions
        self.callForm = callForm
        self.observationLimit = observationLimit
    }

    /// What the role is shown of the whole trajectory: the documents, and one user message of a span an utterance.
    public func messages(for trajectory: Trajectory) -> [Message] {
        prompt(trajectory, steps: trajectory.steps.count)
    }

    /// What the role is shown before it speaks.
    /// - Parameters:
    ///   - remark: what the user says now, after everything else.
    ///   - plan: the planner's words of this step, for the roles that speak after it.
    public func messages(for trajectory: Trajectory, remark: String?, plan: String? = nil) -> [Message] {
        prompt(trajectory, steps: trajectory.steps.count, remarks: remark.map { [$0] } ?? [], plan: plan)
    }

    /// One example for each turn that the role takes; none for turns that called a made-up function or answered nothing.
    public func examples(for trajectory: Trajectory, learning steps: LearnedSteps) -> [[Message]] {
        trajectory.steps.indices.compactMap { index in
            let step = trajectory.steps[index]
            guard steps.contains(index), step.speaker != ChainOfThoughtView.retriever, let target = target(step) else {
                return nil
            }
            let plan = RoleWords.planner(step.thought, step.decision)
            let prompt = prompt(
                trajectory, steps: index, remarks: step.remarks ?? [],
                plan: role == .planner || role == .backbone ? nil : plan)
            return prompt + [Message(.assistant, target, trainable: true)]
        }
    }

    /// The whole dialogue is one message, so it is written anew.
    public func showing(observationsUpTo characters: Int) -> any View {
        RoleView(
            role, instructions: instructions, callForm: callForm, observationLimit: min(observationLimit, characters),
            tools: tools, guidance: guidance)
    }

    /// What the role writes in a step; nil when it has no turn in it, or none to learn from.
    public func target(_ step: Step) -> String? {
        if case .unparsable = step.action { return nil }
        let isInvented = step.action.toolName == Self.inventedName
        switch role {
        case .planner: return isInvented ? nil : RoleWords.planner(step.thought, step.decision)
        case .caller: return isInvented ? nil : RoleWords.call(step)
        case .summarizer: return RoleWords.conclusion(step).flatMap { $0 == "none" ? nil : $0 }
        case .backbone: return RoleWords.backbone(step)
        }
    }

    /// What the role may write.
    /// - Throws: `ToolSchemaError` for a tool whose schema cannot be followed.
    public func grammar(for task: AgentTask) throws -> OutputGrammar {
        switch role {
        case .planner:
            return .prose(limit: 1200, endings: RoleDecision.allCases.map { OutputGrammar.Ending($0.text) })
        case .caller:
            return callForm == .json
                ? .sequence([.text("Action: "), try request(task)]) : .anything(limit: 4000)
        case .summarizer: return .anything(limit: 2000)
        case .backbone:
            guard callForm == .json else { return .anything(limit: 4000) }
            // The marks end the thought without the blank behind them, so that it never holds what looks like one.
            return .prose(
                limit: 1200,
                endings: [
                    OutputGrammar.Ending("conclusion:", next: .sequence([.text(" "), .anything(limit: 2000)])),
                    OutputGrammar.Ending("Action:", next: .sequence([.text(" "), try request(task)])),
                ])
        }
    }

    private func offered(to task: AgentTask) -> [ToolDocument] { task.tools.isEmpty ? tools : task.tools }

    private func request(_ task: AgentTask) throws -> OutputGrammar {
        .oneOf(
            try offered(to: task).map { tool in
                .sequence([.text("\(tool.name)\nAction Input: "), .json(try tool.argumentSchema)])
            })
    }

    private func prompt(
        _ trajectory: Trajectory, steps: Int, remarks: [String] = [], plan: String? = nil
    ) -> [Message] {
        var dialogue = trajectory.utterances(steps: steps, observationLimit: observationLimit)
        dialogue += remarks.map { RoleUtterance(.user, $0) }
        if let plan { dialogue.append(RoleUtterance(.planner, plan)) }
        var spans = dialogue.map { Message.Span("\($0.speaker.rawValue): \($0.text)\n") }
        let wording = RolePrompt(role: role, instructions: instructions, callForm: callForm)
        let tools = offered(to: trajectory.task)
        spans.append(Message.Span(wording.request(tools: tools)))
        let user = Message(role: .user, spans: spans)
        // The summarizer needs no tools to sum up.
        let documents = role == .summarizer ? nil : wording.documents(tools)
        guard let system = documents.map({ $0.guided(by: guidance) }) ?? guidance else { return [user] }
        return [Message(.system, system), user]
    }
}

extension ToolDocument {
    /// The schema that arguments are held to; any object when there is none.
    /// - Throws: `ToolSchemaError` for one that cannot be followed: held to less than it says, arguments would look checked.
    public var argumentSchema: JSONSchema {
        get throws {
            guard let schema else { return .anyObject }
            do {
                return try JSONSchema(schema)
            } catch {
                throw ToolSchemaError(tool: name, reason: "\(error)")
            }
        }
    }
}

/// A tool whose arguments cannot be held to their schema.
public struct ToolSchemaError: Error, Equatable, CustomStringConvertible {
    /// Which one.
    public let tool: String
    /// What cannot be followed.
    public let reason: String

    /// What went wrong, and what to do.
    public var description: String {
        "calls of the tool '\(tool)' cannot be held to its schema: \(reason); change the schema, or run without a grammar"
    }
}
