/// How much a system prompt says.
public enum Instructions: String, Codable, Sendable, CaseIterable {
    /// A few words: for students, who have learned the rest.
    case brief
    /// Format, rules and examples: for models that have not.
    case full
}

extension String {
    /// A system prompt behind what a domain tells every agent about its job.
    func guided(by guidance: String?) -> String {
        guard let guidance, !guidance.isEmpty else { return self }
        return "\(guidance)\n\n\(self)"
    }
}
