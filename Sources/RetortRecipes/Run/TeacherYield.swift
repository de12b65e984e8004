import RetortCore
import RetortStore

/// What of a teacher's trajectories is learned from.
public struct TeacherYield: Codable, Sendable, Hashable {
    public var style: Recipe.Style
    public var trajectories: Int
    public var correct: Int
    public var kept: Int
    /// How many were dropped, by reason.
    public var dropped: [String: Int]

    /// A Markdown table; empty without yields.
    public static func table(_ yields: [TeacherYield]) -> String {
        guard !yields.isEmpty else { return "" }
        let rows = yields.map { yield in
            let reasons = yield.dropped.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                .map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
            return "| \(yield.style.rawValue) | \(yield.trajectories) | \(yield.correct) | \(yield.kept) | \(reasons) |"
        }
        return
            (["| learned from | trajectories | correct | kept | dropped |", "| --- | ---: | ---: | ---: | --- |"] + rows)
            .joined(separator: "\n") + "\n"
    }
}

extension RecipeRun {
    /// What of the teacher's trajectories passes the filters, for each kind of student.
    public func yields() async throws -> [TeacherYield] {
        var yields: [TeacherYield] = []
        for style in Recipe.Style.allCases where recipe.training[style] != nil {
            let entries = try await store.entries(in: Self.teachSet(style))
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
