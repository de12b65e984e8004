import Foundation
import RetortStore

/// The trajectories of a set that pass a filter, one page at a time.
struct TrajectoriesPage: Sendable {
    struct Choice: Sendable {
        let value: String
        let name: String
        let isChosen: Bool
    }

    struct Row: Sendable {
        let href: String
        let mark: Mark
        let question: String
        let answer: String
        let id: String
        let steps: Int
        let calls: Int
        let tokens: String
        let label: String?
    }

    let run: String
    let runHref: String
    let action: String
    let sets: [Choice]
    let outcomes: [Choice]
    let faults: [Choice]
    let tools: [Choice]
    let labels: [Choice]
    let orders: [Choice]
    let words: String
    let least: String
    let most: String
    let longest: Int
    let rows: [Row]
    let isEmpty: Bool
    /// The number of matches, in words.
    let found: String
    let place: String
    let before: String?
    let after: String?

    static let size = 50

    init(_ run: StudioRun, _ asked: StudioQuery) async throws {
        let store = try run.store()
        let sets = try await store.sets()
        let set = asked.text("set").flatMap { name in sets.first { $0.name == name }?.name } ?? sets.first?.name ?? ""
        let facets = try await run.facets(of: set)
        var query = TrajectoryQuery(set: set)
        query.outcome = asked.text("outcome").flatMap(TrajectoryQuery.Outcome.init(rawValue:))
        (query.fault, query.tool) = (asked.text("fault"), asked.text("tool"))
        query.words = asked.text("q") ?? ""
        query.order = asked.text("order").flatMap(TrajectoryQuery.Order.init(rawValue:)) ?? .saved
        query.label = Self.label(asked.text("label"))
        let (least, most) = (asked.integer("least"), asked.integer("most"))
        if least != nil || most != nil {
            let low = max(least ?? 0, 0)
            query.steps = low...max(most ?? 1_000_000, low)
        }
        let page = min(max(asked.integer("page") ?? 1, 1), 1_000_000)
        let (found, total) = try await store.find(query, offset: (page - 1) * Self.size, limit: Self.size)

        self.run = run.name
        (runHref, action) = ("/runs/\(run.name)", "/runs/\(run.name)/trajectories")
        self.sets = sets.map {
            Choice(
                value: $0.name, name: "\(VisibleText.line($0.name, upTo: 160)) (\(Figure.count($0.count)))",
                isChosen: $0.name == set)
        }
        outcomes = TrajectoryQuery.Outcome.allCases.map { outcome in
            Choice(
                value: outcome.rawValue, name: "\(outcome.name) (\(Figure.count(facets.outcomes[outcome] ?? 0)))",
                isChosen: outcome == query.outcome)
        }
        faults = Self.choices(facets.faults, query.fault)
        tools = Self.choices(facets.tools, query.tool)
        labels =
            TrajectoryLabel.Kind.allCases.map { kind in
                Choice(
                    value: kind.rawValue, name: "\(kind.rawValue) (\(facets.labels[kind] ?? 0))",
                    isChosen: query.label == .with(kind))
            } + [Choice(value: "none", name: "without a label", isChosen: query.label == TrajectoryQuery.Labelled.none)]
        orders = [
            (TrajectoryQuery.Order.saved, "as saved"), (.longest, "longest first"), (.shortest, "shortest first"),
            (.costliest, "most tokens first"),
        ].map { Choice(value: $0.0.rawValue, name: $0.1, isChosen: query.order == $0.0) }
        words = query.words
        (self.least, self.most) = (least.map(String.init) ?? "", most.map(String.init) ?? "")
        longest = facets.longest
        rows = found.map { Row($0, run) }
        isEmpty = found.isEmpty
        let isCut = !query.words.isEmpty && total >= TrajectoryQuery.mostCounted
        self.found = "\(isCut ? "at least " : "")\(Figure.count(total)) \(total == 1 ? "trajectory" : "trajectories")"
        let pages = max((total + Self.size - 1) / Self.size, 1)
        place = pages > 1 ? "page \(Figure.count(page)) of \(Figure.count(pages))" : ""
        func link(_ number: Int) -> String {
            StudioQuery.address(
                "/runs/\(run.name)/trajectories",
                [("set", set)]
                    + ["outcome", "fault", "tool", "label", "least", "most", "q", "order"].map { ($0, asked.text($0)) }
                    + [("page", String(number))])
        }
        before = page > 1 ? link(min(page - 1, pages)) : nil
        after = page < pages ? link(page + 1) : nil
    }

    private static func label(_ text: String?) -> TrajectoryQuery.Labelled? {
        text == "none"
            ? TrajectoryQuery.Labelled.none : text.flatMap(TrajectoryLabel.Kind.init(rawValue:)).map { .with($0) }
    }

    private static func choices(_ facets: [(name: String, count: Int)], _ chosen: String?) -> [Choice] {
        facets.map {
            Choice(
                value: $0.name, name: "\(VisibleText.line($0.name, upTo: 60)) (\(Figure.count($0.count)))",
                isChosen: $0.name == chosen)
        }
    }
}

extension TrajectoriesPage.Row {
    init(_ listing: TrajectoryListing, _ run: StudioRun) {
        self.init(
            href: run.address(of: listing.id, in: listing.set), mark: Mark(listing),
            question: VisibleText.line(listing.question),
            answer: listing.answer.map { VisibleText.line($0, upTo: 80) } ?? "–",
            id: VisibleText.line(listing.id, upTo: 80), steps: listing.steps, calls: listing.calls,
            tokens: Figure.count(listing.tokens), label: listing.label?.rawValue)
    }
}

/// The mark for how a run ended.
struct Mark: Sendable {
    let sign: String
    let word: String
    /// The mark's class in the style sheet.
    let tone: String

    init(_ listing: TrajectoryListing) { self.init(ending: listing.ending, isCorrect: listing.isCorrect) }

    init(ending: String, isCorrect: Bool?) {
        switch (isCorrect, ending) {
        case (true?, _): (sign, word, tone) = ("✓", "solved", "good")
        case (_, "failed"): (sign, word, tone) = ("!", "the run broke", "warn")
        case (_, "unfinished"): (sign, word, tone) = ("…", "not ended", "plain")
        case (false?, "gaveUp"): (sign, word, tone) = ("∅", "gave up", "bad")
        case (false?, _): (sign, word, tone) = ("✗", "wrong", "bad")
        case (nil, _): (sign, word, tone) = ("·", "not graded", "plain")
        }
    }
}

extension TrajectoryQuery.Outcome {
    /// The name that pages use.
    var name: String {
        switch self {
        case .solved: "solved"
        case .wrong: "wrong"
        case .forced: "answered when forced to"
        case .gaveUp: "gave up"
        case .failed: "broke"
        case .ungraded: "not graded"
        }
    }
}
