import RetortCore

/// Who does what in an agent of several models (α-UMi, arXiv 2401.07324, section 3), and the one that does it all.
public enum AgentRole: String, Codable, Sendable, CaseIterable {
    /// Thinks, and decides whose turn it is.
    case planner
    /// Writes the call that the planner asked for.
    case caller
    /// Writes the answer from the history.
    case summarizer
    /// Thinks, calls and answers in one go: the single model, and what the roles are made from.
    case backbone
}

/// Whose turn it is after the planner's.
public enum RoleDecision: String, Codable, Sendable, CaseIterable {
    case caller
    case conclusion
    case giveUp = "give up"

    /// How the planner writes it.
    public var text: String { "Next: \(rawValue)." }
}

extension Step {
    /// What was decided: unreadable turns are calls that failed; a program that answers is a conclusion.
    public var decision: RoleDecision {
        switch (action, observation.outcome) {
        case (.answer, _), (.code, .final): .conclusion
        case (.giveUp, _): .giveUp
        case (.code, _), (.toolCall, _), (.unparsable, _): .caller
        }
    }
}
