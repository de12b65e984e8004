import RetortDomains

/// A model that judges: factual answers in addition to exact match and word overlap, or by a domain's rubrics.
public struct JudgePlan: Codable, Sendable, Hashable {
    /// What the verdicts depend on: after a change the answers are judged again.
    public struct Asking: Codable, Sendable, Hashable {
        /// The model's name at the endpoints; nil is the only one they have.
        public var model: String?
        /// The number of votes for each answer, an odd number.
        public var votes = 3
        /// The temperature of several votes.
        public var temperature = 0.7
        /// Whether the server must hold votes to their JSON schema.
        public var structured = true
        /// Whether it is also asked about answers that match a reference exactly. Otherwise its agreement with exact
        /// match is partly true by construction.
        public var matches = true
    }

    /// What the verdicts depend on.
    public var asking = Asking()
    /// Whether its verdict counts instead of exact match, where it has one.
    public var decides = true
    /// Where the model is, and how it is reached.
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
