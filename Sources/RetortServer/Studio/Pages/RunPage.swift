import Foundation
import RetortEvaluation
import RetortRecipes
import RetortStore

/// The page of a run: its stages, its figures with their intervals, its sets.
struct RunPage: Sendable {
    struct Cell: Sendable {
        let value: String
        /// The interval, in small print.
        let interval: String
        let href: String?
        let isBest: Bool
    }

    struct Figures: Sendable {
        struct Row: Sendable {
            let name: String
            let cells: [Cell]
        }
        let heads: [String]
        let rows: [Row]
    }

    struct Pair: Sendable {
        let first: String
        let second: String
        let difference: String
        let interval: String
        let onlyFirst: Int
        let onlySecond: Int
        let tasks: Int
        let pValue: String
        let href: String?
    }

    struct SetRow: Sendable {
        let set: String
        let href: String
        let count: String
        let solved: String
        let interval: String
        let failed: String
        let steps: String
        let calls: String
        let tokens: String
        let seconds: String
    }

    let run: String
    let title: String
    let folder: String
    /// Further remarks.
    let facts: [String]
    let liveHref: String
    let progress: RunProgressPart
    let figures: Figures?
    let pairs: [Pair]
    let sets: [SetRow]
    let hasPairs: Bool

    init(_ run: StudioRun) async throws {
        let manifest = try run.manifest()
        let outline = try await run.store().outline()
        (self.run, folder) = (run.name, run.folder.path)
        title = manifest?.recipe.name ?? run.name
        facts = [manifest.map { "Retort \($0.version)" }, "changed \(Figure.ago(run.changed))"].compactMap(\.self)
        liveHref = "/runs/\(run.name)/live"
        progress = try await RunProgressPart(run)
        let summary = try? EvaluationSummary(run.folder.appendingPathComponent("summary.json"))
        let names = Set(outline.map(\.set))
        figures = summary.flatMap { Self.figures($0, run, names) }
        pairs = (summary?.comparisons ?? []).map { Self.pair($0, run, names) }
        hasPairs = !pairs.isEmpty
        sets = outline.map { Self.row($0, run) }
    }

    private static func row(_ set: TrajectorySetOutline, _ run: StudioRun) -> SetRow {
        let share = Proportion(successes: set.correct, count: set.graded)
        let interval = share.interval
        return SetRow(
            set: VisibleText.line(set.set, upTo: 160), href: run.address(ofSet: set.set),
            count: Figure.count(set.count),
            solved: set.graded > 0 ? Figure.number(share.value * 100) : "–",
            interval: set.graded > 0
                ? "\(Figure.number(interval.low * 100, 0))–\(Figure.number(interval.high * 100, 0))" : "",
            failed: set.failed > 0 ? Figure.count(set.failed) : "–", steps: Figure.number(set.steps),
            calls: Figure.number(set.calls), tokens: Figure.mean(set.tokens), seconds: Figure.seconds(set.seconds))
    }

    /// One row for each system and student, one column for each kind of task.
    private static func figures(_ summary: EvaluationSummary, _ run: StudioRun, _ sets: Set<String>) -> Figures? {
        func kind(_ cell: EvaluationSummary.Cell) -> String { "\(cell.family.rawValue) · \(cell.split)" }
        func name(_ cell: EvaluationSummary.Cell) -> String {
            [cell.student, cell.system].compactMap(\.self).joined(separator: " ")
        }
        func unique(_ names: [String]) -> [String] { names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } } }
        guard !summary.cells.isEmpty else { return nil }
        let kinds = unique(summary.cells.map(kind))
        let rows = unique(summary.cells.map(name)).map { row in
            Figures.Row(
                name: row,
                cells: kinds.map { column in
                    guard let cell = summary.cells.first(where: { kind($0) == column && name($0) == row }) else {
                        return Cell(value: "–", interval: "", href: nil, isBest: false)
                    }
                    let best = summary.cells.filter { kind($0) == column }.map(\.accuracy).max()
                    let set = cell.student.map { "evaluate/\($0)/\(cell.system)" } ?? ""
                    return Cell(
                        value: Figure.number(cell.accuracy),
                        interval: "\(Figure.number(cell.low, 0))–\(Figure.number(cell.high, 0)), n \(cell.n)",
                        href: sets.contains(set) ? run.address(ofSet: set) : nil,
                        isBest: cell.accuracy == best && summary.cells.count { kind($0) == column } > 1)
                })
        }
        return Figures(heads: kinds, rows: rows)
    }

    private static func pair(_ pair: PairedComparison, _ run: StudioRun, _ sets: Set<String>) -> Pair {
        func set(_ name: String) -> String? {
            let parts = name.split(separator: " ", maxSplits: 1)
            let set = parts.count == 2 ? "evaluate/\(parts[0])/\(parts[1])" : ""
            return sets.contains(set) ? set : nil
        }
        let href = set(pair.first).flatMap { first in
            set(pair.second).map { ComparePage.address(run, first, run, $0) }
        }
        return Pair(
            first: pair.first, second: pair.second,
            difference: pair.difference.map { Self.signed($0.mean) } ?? "–",
            interval: pair.difference.map { "\(Self.signed($0.low)) to \(Self.signed($0.high))" } ?? "",
            onlyFirst: pair.onlyFirst, onlySecond: pair.onlySecond, tasks: pair.n,
            pValue: pair.pValue < 0.0001 ? "< 0.0001" : Figure.number(pair.pValue, 4), href: href)
    }

    /// A number of points with its sign.
    static func signed(_ value: Double, _ digits: Int = 1) -> String {
        let text = Figure.number(abs(value), digits)
        return Double(text) == 0 ? text : (value < 0 ? "−" : "+") + text
    }
}
