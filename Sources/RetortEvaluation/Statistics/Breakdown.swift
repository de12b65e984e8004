import RetortCore

/// Accuracy by a member of the tasks' metadata, such as the level or the type.
public struct Breakdown: Codable, Sendable, Hashable {
    /// One value of that member.
    public struct Row: Codable, Sendable, Hashable {
        public let value: String
        public let result: Proportion
    }

    public let key: String
    public let rows: [Row]

    /// Nil when no task has the member, or all have the same.
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
