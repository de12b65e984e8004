import RetortCore

/// Accuracy by a member of the tasks' metadata, such as the level or the type.
public struct Breakdown: Codable, Sendable, Hashable {
    /// The tasks with one value of that member.
    public struct Row: Codable, Sendable, Hashable {
        /// The value as text.
        public let value: String
        /// How many of these tasks were solved.
        public let result: Proportion
    }

    /// The member's name.
    public let key: String
    /// The values with their results, sorted by value.
    public let rows: [Row]

    /// Nil when fewer than two values occur, or more than forty.
    public init?(_ records: [RunRecord], by key: String) {
        let groups = Dictionary(grouping: records.filter { $0.task.metadata[key] != nil }) {
            $0.task.metadata[key]?.text ?? ""
        }
        guard groups.count > 1, groups.count <= 40 else { return nil }
        self.key = key
        rows = groups.sorted { $0.key < $1.key }.map { value, records in
            Row(value: value, result: Proportion(successes: records.count { $0.isCorrect }, count: records.count))
        }
    }
}
