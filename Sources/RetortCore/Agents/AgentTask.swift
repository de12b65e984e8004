/// A question to solve, with its reference answer.
public struct AgentTask: Codable, Sendable, Hashable, Identifiable {
    /// What kind of answer the task asks for. It names the grader, and tables show each kind by itself.
    ///
    /// `factual` and `math` are those of the built-in sources; a domain has the kinds that its graders are called.
    public struct Family: RawRepresentable, Codable, Sendable, Hashable {
        /// Its name, as records and tables have it.
        public var rawValue: String

        /// Any name of a kind.
        public init(rawValue: String) { self.rawValue = rawValue }

        /// A name, a date, yes or no: found by looking things up.
        public static let factual = Family(rawValue: "factual")
        /// A number or expression: found by computing.
        public static let math = Family(rawValue: "math")
    }

    /// Stable within a data set; unique within a run.
    public var id: String
    /// The text a user would type.
    public var question: String
    /// Accepted answers, the canonical one first. Empty when unknown.
    public var answers: [String]
    /// How the answer is graded.
    public var family: Family
    /// The part of a data set it belongs to, such as `train`, `in` (in-domain test) or `out` (out-of-domain test).
    public var split: String
    /// Anything else worth keeping: level, type, source.
    public var metadata: [String: JSONValue]

    /// - Parameters:
    ///   - answers: accepted ones, the canonical one first; empty when unknown.
    ///   - metadata: anything else worth keeping.
    public init(
        id: String, question: String, answers: [String], family: Family, split: String = "",
        metadata: [String: JSONValue] = [:]
    ) {
        self.id = id
        self.question = question
        self.answers = answers
        self.family = family
        self.split = split
        self.metadata = metadata
    }

    /// Whether an answer can be found at all; where not, giving up is right. Kept in `metadata["solvable"]`.
    public var isSolvable: Bool {
        get { metadata["solvable"] != .bool(false) }
        set { metadata["solvable"] = .bool(newValue) }
    }
}
