/// How much a system prompt says.
public enum Instructions: String, Codable, Sendable, CaseIterable {
    /// A few words: for students, who have learned the rest.
    case brief
    /// Format, rules and examples: for models that have not.
    case full
}
