/// Decides whether an answer is right.
public protocol Grader: Sendable {
    /// Grades an answer. A missing or empty answer is never correct.
    func grade(_ answer: String?, for task: AgentTask) async -> Verdict
}

/// A grader's decision and its reason.
public struct Verdict: Codable, Sendable, Hashable {
    /// Whether the answer counts as right.
    public var isCorrect: Bool
    /// Why, in a few words, such as `exact match` or `no answer`.
    public var reason: String

    /// - Parameter reason: why, for people.
    public init(isCorrect: Bool, reason: String) {
        self.isCorrect = isCorrect
        self.reason = reason
    }
}
