import Foundation
import RetortEvaluation
import RetortStore

/// Two sets of trajectories compared on the tasks that both have, with the tasks on which they differ.
struct ComparePage: Sendable {
    struct Choice: Sendable {
        let value: String
        let name: String
        let isFirst: Bool
        let isSecond: Bool
    }

    struct Side: Sendable {
        let name: String
        let href: String
        let solved: String
        let interval: String
        let tasks: String
    }

    struct Group: Sendable {
        let name: String
        let count: String
        let href: String
        let isChosen: Bool
    }

    struct Row: Sendable {
        let href: String
        let question: String
        let first: Mark
        let firstAnswer: String
        let second: Mark
        let secondAnswer: String
    }

    struct Result: Sendable {
        let first: Side
        let second: Side
        let difference: String
        let interval: String
        let pValue: String
        let tasks: String
        let groups: [Group]
        let rows: [Row]
        let isEmpty: Bool
        let shown: String
        let before: String?
        let after: String?
    }

    let choices: [Choice]
    let result: Result?
    let hint: String?

    /// One of the two sets.
    struct Chosen: Sendable {
        let run: StudioRun
        let set: String

        var value: String { "\(run.name)/\(set)" }
        var name: String { "\(run.name) · \(VisibleText.line(set, upTo: 160))" }
    }

    private enum Kind: String, CaseIterable {
        case onlyFirst = "only-first", onlySecond = "only-second", both, neither

        init(_ first: Bool, _ second: Bool) {
            self = first ? (second ? .both : .onlyFirst) : (second ? .onlySecond : .neither)
        }

        var name: String {
            switch self {
            case .onlyFirst: "only the first solved"
            case .onlySecond: "only the second solved"
            case .both: "both solved"
            case .neither: "neither solved"
            }
        }
    }

    private static let size = 100

    static func address(_ first: StudioRun, _ set: String, _ second: StudioRun, _ other: String) -> String {
        StudioQuery.address("/compare", [("a", "\(first.name)/\(set)"), ("b", "\(second.name)/\(other)")])
    }

    init(_ runs: [StudioRun], _ asked: StudioQuery) async throws {
        var all: [Chosen] = []
        for run in runs {
            // A run that cannot be read is reported in the list of runs.
            let sets = (try? await run.store().sets()) ?? []
            all += sets.map { Chosen(run: run, set: $0.name) }
        }
        let (a, b) = (asked.text("a"), asked.text("b"))
        choices = all.map {
            Choice(value: $0.value, name: $0.name, isFirst: $0.value == a, isSecond: $0.value == b)
        }
        guard let first = all.first(where: { $0.value == a }), let second = all.first(where: { $0.value == b }) else {
            result = nil
            hint = all.count < 2 ? "There are no two sets to compare." : nil
            return
        }
        result = try await Self.compare(first, second, asked)
        hint = result == nil ? "The two have no graded task in common." : nil
    }

    private static func compare(_ first: Chosen, _ second: Chosen, _ asked: StudioQuery) async throws -> Result? {
        let firstTasks = try await first.run.store().firstOfEachTask(in: first.set)
        let secondTasks = try await second.run.store().firstOfEachTask(in: second.set)
        let pairs = firstTasks.compactMap { task, own -> (TrajectoryListing, TrajectoryListing, Kind)? in
            guard let other = secondTasks[task], let isRight = own.isCorrect, let isOtherRight = other.isCorrect else {
                return nil
            }
            return (own, other, Kind(isRight, isOtherRight))
        }.sorted { $0.0.sequence < $1.0.sequence }
        guard !pairs.isEmpty else { return nil }
        let counts = Dictionary(pairs.map { ($0.2, 1) }, uniquingKeysWith: +)
        let test = PairedTest(onlyFirst: counts[.onlyFirst] ?? 0, onlySecond: counts[.onlySecond] ?? 0)
        let change = Self.difference(test, counts, pairs.count)
        let kind = asked.text("show").flatMap(Kind.init(rawValue:))
        let shown = pairs.filter { pair in kind.map { $0 == pair.2 } ?? (pair.2 == .onlyFirst || pair.2 == .onlySecond)
        }
        let page = min(max(asked.integer("page") ?? 1, 1), max((shown.count + size - 1) / size, 1))
        func link(_ parts: [(String, String?)]) -> String {
            StudioQuery.address("/compare", [("a", first.value), ("b", second.value)] + parts)
        }
        return Result(
            first: side(first, counts[.both, default: 0] + test.onlyFirst, pairs.count),
            second: side(second, counts[.both, default: 0] + test.onlySecond, pairs.count),
            difference: RunPage.signed(change.mean),
            interval: "\(RunPage.signed(change.low)) to \(RunPage.signed(change.high))",
            pValue: test.pValue < 0.0001 ? "< 0.0001" : Figure.number(test.pValue, 4),
            tasks: Figure.count(pairs.count, "task"),
            groups: [
                Group(
                    name: "where they differ", count: Figure.count(test.onlyFirst + test.onlySecond), href: link([]),
                    isChosen: kind == nil)
            ]
                + Kind.allCases.map {
                    Group(
                        name: $0.name, count: Figure.count(counts[$0] ?? 0), href: link([("show", $0.rawValue)]),
                        isChosen: kind == $0)
                },
            rows: shown.dropFirst((page - 1) * size).prefix(size).map { row($0.0, $0.1, first, second) },
            isEmpty: shown.isEmpty, shown: Figure.count(shown.count, "task"),
            before: page > 1 ? link([("show", kind?.rawValue), ("page", "\(page - 1)")]) : nil,
            after: page * size < shown.count ? link([("show", kind?.rawValue), ("page", "\(page + 1)")]) : nil)
    }

    /// The second accuracy minus the first, in percentage points. The interval is that of a paired bootstrap, as in
    /// reports; for very many tasks it is the normal approximation, which gives the same there.
    private static func difference(
        _ test: PairedTest, _ counts: [Kind: Int], _ count: Int
    ) -> (mean: Double, low: Double, high: Double) {
        if count <= mostDrawn {
            let values = Kind.allCases.flatMap { kind in
                Array(
                    repeating: (
                        first: kind == .onlyFirst || kind == .both ? 100.0 : 0,
                        second: kind == .onlySecond || kind == .both ? 100.0 : 0
                    ), count: counts[kind] ?? 0)
            }
            if let drawn = Bootstrap.difference(values) { return (drawn.mean, drawn.low, drawn.high) }
        }
        let n = Double(count)
        let mean = Double(test.onlySecond - test.onlyFirst) / n
        let spread =
            (Double(test.onlySecond + test.onlyFirst) / n - mean * mean).squareRoot() / n.squareRoot() * 1.959964
        return (100 * mean, 100 * (mean - spread), 100 * (mean + spread))
    }

    private static let mostDrawn = 2000

    private static func side(_ chosen: Chosen, _ solved: Int, _ count: Int) -> Side {
        let share = Proportion(successes: solved, count: count)
        let interval = share.interval
        return Side(
            name: chosen.name, href: chosen.run.address(ofSet: chosen.set),
            solved: Figure.number(share.value * 100),
            interval: "\(Figure.number(interval.low * 100, 0))–\(Figure.number(interval.high * 100, 0))",
            tasks: "\(Figure.count(solved)) of \(Figure.count(count))")
    }

    private static func row(
        _ own: TrajectoryListing, _ other: TrajectoryListing, _ first: Chosen, _ second: Chosen
    ) -> Row {
        Row(
            href: first.run.address(
                of: own.id, in: own.set, [("brun", second.run.name), ("bset", other.set), ("bid", other.id)]),
            question: VisibleText.line(own.question), first: Mark(own),
            firstAnswer: own.answer.map { VisibleText.line($0, upTo: 60) } ?? "–", second: Mark(other),
            secondAnswer: other.answer.map { VisibleText.line($0, upTo: 60) } ?? "–")
    }
}
