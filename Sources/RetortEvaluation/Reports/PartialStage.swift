/// A stage of a run in which something failed: its results are kept, and the rest is tried again on the next run.
public struct PartialStage: Codable, Sendable, Hashable {
    /// Such as `teach/agent`.
    public var stage: String
    /// How many things failed.
    public var failed: Int
    /// How many things it had to make.
    public var total: Int
    /// How many failed, by cause.
    public var causes: [String: Int]

    /// A stage with its failures.
    public init(stage: String, failed: Int, total: Int, causes: [String: Int]) {
        (self.stage, self.failed, self.total, self.causes) = (stage, failed, total, causes)
    }

    /// A table for the report; it has no rows, and is left out, when nothing failed.
    public static func table(_ stages: [PartialStage]) -> ReportTable {
        ReportTable(
            "What failed", columns: ["Stage", "Failed", "Of", "Causes"],
            rows: stages.map { stage in
                let causes = stage.causes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                    .map { "\($0.value) × \($0.key)" }
                return [stage.stage, "\(stage.failed)", "\(stage.total)", causes.joined(separator: ", ")]
            },
            note: stages.isEmpty
                ? ""
                : "These figures rest on what did not fail; runs that failed count as wrong. The next run tries them again."
        )
    }
}
