import RetortCore

/// A line of a role dialogue: who said what.
public struct RoleUtterance: Sendable, Hashable {
    /// Who speaks.
    public enum Speaker: String, Sendable, Codable, CaseIterable {
        case user, planner, caller, observation, conclusion
    }

    /// Who says it.
    public var speaker: Speaker
    /// What is said, without the speaker's name.
    public var text: String

    /// A line of `speaker`.
    public init(_ speaker: Speaker, _ text: String) {
        self.speaker = speaker
        self.text = text
    }
}

/// A step in the words of each role; `RoleParser` reads them back.
public enum RoleWords {
    /// The planner's rationale and decision.
    public static func planner(_ thought: String, _ decision: RoleDecision) -> String {
        thought.isEmpty ? " \(decision.text)" : "\(thought)\n \(decision.text)"
    }

    /// The caller's request; nil when the step calls nothing.
    public static func call(_ step: Step) -> String? {
        guard step.decision == .caller else { return nil }
        return step.wording ?? call(step.action)
    }

    /// An action in its canonical words; empty for those that are no call.
    public static func call(_ action: Action) -> String {
        switch action {
        case .toolCall(let name, let arguments): "Action: \(name)\nAction Input: \(arguments.callText)"
        case .code(let program): FencedBlocks.block(program)
        case .unparsable(let text, _): text
        case .answer, .giveUp: ""
        }
    }

    /// The summarizer's answer; nil when the step gives none.
    public static func conclusion(_ step: Step) -> String? {
        switch (step.action, step.observation.outcome) {
        case (.answer(let value), _), (.code, .final(let value)): value.text
        default: nil
        }
    }

    /// What the single model writes for a step: rationale, then the call, the answer, or that it gives up.
    public static func backbone(_ step: Step) -> String {
        var thought = step.thought[...]
        while thought.last?.isNewline == true { thought.removeLast() }
        let end =
            switch step.decision {
            case .caller: call(step) ?? ""
            case .conclusion: "conclusion: \(conclusion(step) ?? "")"
            case .giveUp: "conclusion: give up."
            }
        return "\(thought)\n\(end)"
    }
}

extension JSONValue {
    /// Arguments as a call shows them: JSON, or the text that was none.
    fileprivate var callText: String {
        if case .string(let text) = self { text } else { jsonText }
    }
}

extension Trajectory {
    /// The dialogue up to and with the first `count` steps.
    /// - Parameter limit: observations show at most so many characters, with a mark that says what was left out.
    func utterances(steps count: Int, observationLimit limit: Int) -> [RoleUtterance] {
        var dialogue = [RoleUtterance(.user, task.question)]
        for step in steps.prefix(count) {
            dialogue += (step.remarks ?? []).map { RoleUtterance(.user, $0) }
            dialogue.append(RoleUtterance(.planner, RoleWords.planner(step.thought, step.decision)))
            if let call = RoleWords.call(step) {
                dialogue.append(RoleUtterance(.caller, call))
                dialogue.append(RoleUtterance(.observation, step.observation.text.shown(upTo: limit)))
            }
            if let answer = RoleWords.conclusion(step) { dialogue.append(RoleUtterance(.conclusion, answer)) }
        }
        return dialogue
    }
}
