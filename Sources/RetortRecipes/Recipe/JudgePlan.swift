import RetortDomains

/// A model that judges: factual answers beside exact match and word overlap, or by a domain's rubrics.
public struct JudgePlan: Codable, Sendable, Hashable {
    /// What the verdicts depend on: a change has the answers judged anew.
    public struct Asking: Codable, Sendable, Hashable {
        /// What the endpoints call it; nil is the only one they have.
        public var model: String?
        /// For each answer.
        public var votes = 3
        /// Of several votes.
        public var temperature = 0.7
        /// Whether the server is to hold votes to their JSON schema.
        public var structured = true
        /// Whether it is also asked about answers that match a reference exactly. Without, agreement with exact match is
        /// partly of its own making.
        public var matches = true
    }

    public var asking = Asking()
    /// Whether its verdict counts, where it has one, instead of exact match.
    public var decides = true
    /// Where it is, and how it is reached.
    public var access: TeacherPlan

    /// Reads the recipe's `judge`.
    /// - Parameter hasRubrics: whether it is for a domain's rubrics, instead of for factual answers.
    init(_ reader: YAMLReader, hasRubrics: Bool) {
        access = TeacherPlan.access(reader)
        access.readBudget(reader)
        access.tokenIDs = false
        asking.model = access.asking.model
        asking.votes = reader.integer("votes", default: asking.votes, in: 1...99)
        if asking.votes % 2 == 0 {
            reader.refuse("votes", "'votes' must be an odd number, so that there is a majority")
        }
        asking.temperature = reader.number("temperature", default: asking.temperature, in: 0...5)
        asking.structured = reader.flag("structured", default: asking.structured)
        asking.matches = reader.flag("matches", default: asking.matches)
        decides = reader.flag("decides", default: decides)
        guard hasRubrics else { return }
        for key in ["matches", "decides"] where reader.has(key) {
            reader.refuse(
                key, "'\(key)' is for a judge of factual answers; the domain has this one judge by its rubrics")
        }
    }
}
