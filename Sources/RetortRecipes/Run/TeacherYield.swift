import RetortCore
import RetortEvaluation
import RetortStore

/// How much of a teacher's trajectories is learned from.
public struct TeacherYield: Codable, Sendable, Hashable {
    /// The kind of student.
    public var style: Recipe.Style
    /// How many trajectories there are.
    public var trajectories: Int
    /// How many of them are graded as right.
    public var correct: Int
    /// How many passed the filters.
    public var kept: Int
    /// How many were dropped, by reason.
    public var dropped: [String: Int]

    /// How many were kept, and how many were dropped for each reason that occurs; empty without yields.
    public static func table(_ yields: [TeacherYield]) -> ReportTable {
        let totals = yields.map(\.dropped).reduce(into: [String: Int]()) { $0.merge($1, uniquingKeysWith: +) }
        let reasons = totals.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key)
        return ReportTable(
            "What the students learned from",
            columns: ["Learned from", "Trajectories", "Correct", "Kept"] + reasons.map { "Dropped: \($0)" },
            rows: yields.map { yield in
                [yield.style.rawValue, "\(yield.trajectories)", "\(yield.correct)", "\(yield.kept)"]
                    + reasons.map { "\(yield.dropped[$0] ?? 0)" }
            })
    }
}

extension RunContext {
    /// How many of the teacher's trajectories pass the filters, for each kind of student.
    func yields() async throws -> [TeacherYield] {
        var yields: [TeacherYield] = []
        for style in Recipe.Style.allCases where recipe.training[style] != nil {
            let entries = try await store.entries(in: TeachStage.set(style))
            let (kept, dropped) = TrajectoryFilter(recipe.filter ?? FilterPlan()).split(entries)
            yields.append(
                TeacherYield(
                    style: style, trajectories: entries.count,
                    correct: entries.count { $0.verdict?.isCorrect == true }, kept: kept.count,
                    dropped: Dictionary(dropped.map { ($0.reason.rawValue, 1) }, uniquingKeysWith: +)))
        }
        return yields
    }
}
