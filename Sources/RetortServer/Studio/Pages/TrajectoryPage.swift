import Foundation
import RetortCore
import RetortEvaluation
import RetortRecipes
import RetortStore

/// A trajectory as a conversation, alone or beside another on the same task.
struct TrajectoryPage: Sendable {
    struct Column: Sendable {
        let run: String
        let set: String
        let id: String
        let href: String
        let mark: Mark
        let answer: VisibleText
        let ending: String
        let verdict: String
        /// The opinions of a judge and of other graders.
        let opinions: [String]
        let facts: [String]
        let steps: [StepCard]
        let fault: Fault?
        let rawHref: String
        /// The page of its tokens, if the run kept them.
        let tokensHref: String?
        let label: String?
        let note: String
        let isMended: Bool
        let mendedHref: String?
    }

    struct Fault: Sendable {
        let words: String
        /// The step in question, if one can be named.
        let href: String?
        let step: Int?
    }

    struct Sibling: Sendable {
        let href: String
        let besideHref: String?
        let mark: Mark
        let name: String
        let answer: String
        let isHere: Bool
    }

    struct Branch: Sendable {
        let number: Int
        let href: String
        let words: String
        let others: [String]
        let hasOthers: Bool
    }

    struct Labels: Sendable {
        let action: String
        let note: String
        let isGood: Bool
        let isBad: Bool
        let isMended: Bool
        let mend: Mend
    }

    /// The parts that can be corrected by hand.
    struct Mend: Sendable {
        struct Field: Sendable {
            let number: Int
            let speaker: String
            let thought: String
            let action: String
            let actionKind: String
        }

        let action: String
        let fields: [Field]
        /// Which steps cannot be edited on a page, in words; nil when all can.
        let leftOut: String?
        let answer: String
        let hasAnswer: Bool
    }

    let run: String
    let runHref: String
    let listHref: String
    let set: String
    let question: VisibleText
    let isLongQuestion: Bool
    let references: String
    let task: String
    let columns: [Column]
    let isPair: Bool
    let siblings: [Sibling]
    let branches: [Branch]
    let hasBranches: Bool
    let labels: Labels?
    let before: String?
    let after: String?
    /// The address of the same trajectory shown alone.
    let aloneHref: String?

    /// The place of a trajectory: its run, set and id.
    struct Address: Sendable {
        let run: StudioRun
        let set: String
        let id: String
    }

    init(_ place: Address, beside other: Address?, mended: Bool, in runs: [StudioRun]) async throws {
        let entry = try await place.entry()
        let trajectory = entry.trajectory
        let store = try place.run.store()
        let listing = try await store.listing(id: place.id, in: place.set)
        run = place.run.name
        runHref = "/runs/\(run)"
        set = VisibleText.line(place.set, upTo: 120)
        listHref = place.run.address(ofSet: place.set)
        question = VisibleText(trajectory.task.question, place: place.text("question"))
        isLongQuestion = trajectory.task.question.utf8.count > 180
        references = VisibleText.line(trajectory.task.answers.prefix(8).joined(separator: " or "), upTo: 400)
        task = VisibleText.line(trajectory.task.id, upTo: 120)

        let same = try await Self.sameTask(trajectory.task.id, place, runs)
        var columns = [try await Self.column(place, entry, mended: mended, anchor: "a", same: same)]
        if let other {
            columns.append(
                try await Self.column(other, try await other.entry(), mended: false, anchor: "b", same: same))
        }
        self.columns = columns
        isPair = other != nil
        siblings = same.map { sibling in
            let isHere = sibling.place.isSame(as: place) || (other.map(sibling.place.isSame) ?? false)
            return Sibling(
                href: sibling.place.run.address(of: sibling.listing.id, in: sibling.listing.set),
                besideHref: isHere
                    ? nil
                    : place.run.address(
                        of: place.id, in: place.set,
                        [("brun", sibling.place.run.name), ("bset", sibling.place.set), ("bid", sibling.place.id)]),
                mark: Mark(sibling.listing), name: sibling.name(besides: place.run),
                answer: sibling.listing.answer.map { VisibleText.line($0, upTo: 60) } ?? "–", isHere: isHere)
        }
        branches = other == nil ? Self.branches(trajectory) : []
        hasBranches = branches.contains { $0.hasOthers }
        labels = other == nil ? Self.labels(place, entry) : nil
        if let listing, other == nil {
            let (before, after) = try await store.neighbours(of: listing)
            self.before = before.map { place.run.address(of: $0.id, in: $0.set) }
            self.after = after.map { place.run.address(of: $0.id, in: $0.set) }
        } else {
            (before, after) = (nil, nil)
        }
        aloneHref = other == nil ? nil : place.run.address(of: place.id, in: place.set)
    }

    // MARK: Columns

    private static func column(
        _ place: Address, _ entry: StoredTrajectory, mended: Bool, anchor: String, same: [SameTask]
    ) async throws -> Column {
        let isMended = mended && entry.label?.mended != nil
        let trajectory = isMended ? entry.label?.mended ?? entry.trajectory : entry.trajectory
        let fault = isMended ? nil : try await self.fault(entry, place, same)
        let steps = trajectory.steps.prefix(mostSteps).enumerated().map { index, step in
            StepCard(
                step, number: index + 1, anchor: "\(anchor)\(index + 1)",
                fault: fault?.step == index ? fault?.words : nil
            ) { place.text($0, step: index) }
        }
        let usage = trajectory.usage
        var facts = [
            Figure.count(trajectory.steps.count, "step"), Figure.count(trajectory.toolCallCount, "tool call"),
            "\(Figure.count(usage.promptTokens + usage.completionTokens)) tokens",
            Figure.seconds(trajectory.steps.reduce(0) { $0 + $1.usage.seconds + $1.observation.seconds }),
            "by \(VisibleText.line(trajectory.provenance.model, upTo: 60))",
        ]
        if trajectory.steps.count > mostSteps { facts.append("the first \(mostSteps) steps are shown") }
        var opinions =
            entry.judge.map { ["the judge: \($0.isCorrect ? "right" : "wrong") (\(VisibleText.line($0.reason)))"] }
            ?? []
        opinions += (entry.also ?? [:]).sorted { $0.key < $1.key }.map {
            "\(VisibleText.line($0.key, upTo: 60)): \($0.value.isCorrect ? "right" : "wrong") (\(VisibleText.line($0.value.reason)))"
        }
        return Column(
            run: place.run.name, set: VisibleText.line(place.set, upTo: 120), id: VisibleText.line(place.id, upTo: 120),
            href: place.run.address(of: place.id, in: place.set),
            mark: Mark(ending: trajectory.ending.kind, isCorrect: entry.verdict?.isCorrect),
            answer: VisibleText(trajectory.answer ?? "none", place: place.text("answer")),
            ending: words(trajectory.ending),
            verdict: entry.verdict.map { VisibleText.line($0.reason) } ?? "not graded", opinions: opinions,
            facts: facts,
            steps: steps,
            fault: fault.map { fault in
                Fault(
                    words: fault.words, href: fault.step.map { "#\(anchor)\($0 + 1)" }, step: fault.step.map { $0 + 1 })
            }, rawHref: place.text("json"),
            tokensHref: TrainedTokens.areKept(in: place.run.folder)
                ? StudioQuery.address("/runs/\(place.run.name)/tokens", [("set", place.set), ("id", place.id)]) : nil,
            label: entry.label?.kind.rawValue,
            note: VisibleText.line(entry.label?.note ?? "", upTo: 400), isMended: isMended,
            mendedHref: entry.label?.mended == nil
                ? nil : place.run.address(of: place.id, in: place.set, [("mended", isMended ? nil : "1")]))
    }

    private static let mostSteps = 200

    private static func fault(_ entry: StoredTrajectory, _ place: Address, _ same: [SameTask]) async throws -> (
        step: Int?, words: String
    )? {
        guard entry.verdict?.isCorrect != true else { return nil }
        var solved: [Trajectory] = []
        for other in same where other.listing.isCorrect == true && solved.count < mostSolved {
            if let entry = try? await other.place.entry() { solved.append(entry.trajectory) }
        }
        return FirstFault(entry.trajectory, verdict: entry.verdict, solved: solved).map {
            ($0.step, VisibleText.line($0.words, upTo: 500))
        }
    }

    private static let mostSolved = 8

    private static func words(_ ending: Ending?) -> String {
        switch ending {
        case .answered: "Answer"
        case .forced: "Answer, asked for when no step was left"
        case .gaveUp(let reason): "Gave up (\(VisibleText.line(reason)))"
        case .failed(let reason): "The run broke (\(VisibleText.line(reason)))"
        case nil: "Not ended"
        }
    }

    // MARK: The same task

    private struct SameTask: Sendable {
        let place: Address
        let listing: TrajectoryListing

        func name(besides run: StudioRun) -> String {
            // An id mostly repeats the task and the policy; its end tells attempts apart.
            let attempt =
                listing.id.split(separator: "/").last.flatMap { Int($0) }.map { $0 > 0 ? " · \($0 + 1)" : "" }
                ?? " · \(listing.id)"
            return (place.run === run ? "" : "\(place.run.name) · ")
                + VisibleText.line(listing.set + attempt, upTo: 100)
        }
    }

    /// Trajectories of the same task, those of this run first.
    private static func sameTask(_ task: String, _ place: Address, _ runs: [StudioRun]) async throws -> [SameTask] {
        var all = try await place.run.store().sameTask(task, limit: mostSame)
            .map { SameTask(place: Address(run: place.run, set: $0.set, id: $0.id), listing: $0) }
        for run in runs where run !== place.run && all.count < mostSame {
            // A run that cannot be read is reported in the list of runs.
            guard let found = try? await run.store().sameTask(task, limit: mostSame - all.count) else { continue }
            all += found.map { SameTask(place: Address(run: run, set: $0.set, id: $0.id), listing: $0) }
        }
        return all.count > 1 ? all : []
    }

    private static let mostSame = 40

    // MARK: Branches

    /// The steps, with the alternatives that were tried from each.
    private static func branches(_ trajectory: Trajectory) -> [Branch] {
        trajectory.steps.prefix(mostSteps).enumerated().map { index, step in
            // Candidates that only voted are not branches that were taken.
            let others = step.candidates.contains { $0.votes > 0 } ? [] : step.candidates.filter { !$0.chosen }
            return Branch(
                number: index + 1, href: "#a\(index + 1)", words: step.action.brief,
                others: others.prefix(12).map(\.action.brief), hasOthers: !others.isEmpty)
        }
    }

    // MARK: Labels

    private static func labels(_ place: Address, _ entry: StoredTrajectory) -> Labels {
        let label = entry.label
        let trajectory = label?.mended ?? entry.trajectory
        var (fields, letters): ([Mend.Field], Int) = ([], 0)
        for (index, step) in trajectory.steps.enumerated() {
            let action = TrajectoryMending.text(of: step.action)
            // A form does not return text unchanged if it cannot show it.
            guard VisibleText.isPlain(step.thought), VisibleText.isPlain(action) else { continue }
            let size = step.thought.utf8.count + action.utf8.count
            guard size <= mostMended.step, letters + size <= mostMended.all else { continue }
            letters += size
            fields.append(
                Mend.Field(
                    number: index, speaker: "\(index + 1) · \(VisibleText.line(step.speaker, upTo: 40))",
                    thought: step.thought, action: action, actionKind: TrajectoryMending.kind(of: step.action)))
        }
        let leftOut = trajectory.steps.count - fields.count
        let answer = trajectory.answer.flatMap {
            VisibleText.isPlain($0) && $0.utf8.count <= mostMended.step && !$0.contains("\n") ? $0 : nil
        }
        func address(_ action: String) -> String {
            StudioQuery.address("/runs/\(place.run.name)/\(action)", [("set", place.set), ("id", place.id)])
        }
        return Labels(
            action: address("label"), note: VisibleText.line(label?.note ?? "", upTo: 2000),
            isGood: label?.kind == .good,
            isBad: label?.kind == .bad, isMended: label?.kind == .mended,
            mend: Mend(
                action: address("mend"), fields: fields,
                leftOut: leftOut > 0
                    ? "\(Figure.count(leftOut, "step")) cannot be written anew here: too long, or with signs that a form cannot hold"
                    : nil, answer: answer ?? "", hasAnswer: answer != nil))
    }

    /// The most text that can be edited on a page, in bytes.
    private static let mostMended = (step: 20_000, all: 120_000)
}

extension TrajectoryPage.Address {
    /// The stored trajectory.
    /// - Throws: `APIError` when there is none, `StoreError`.
    func entry() async throws -> StoredTrajectory {
        guard let entry = try await run.store().entry(id: id, in: set) else {
            throw APIError(
                status: .notFound, code: "not_found",
                message: "the set '\(set.shown(upTo: 200))' of \(run.name) has no trajectory '\(id.shown(upTo: 200))'")
        }
        return entry
    }

    /// The address of a part in full.
    func text(_ part: String, step: Int? = nil) -> String {
        StudioQuery.address(
            "/runs/\(run.name)/text", [("set", set), ("id", id), ("part", part), ("step", step.map(String.init))])
    }

    func isSame(as other: Self) -> Bool { run === other.run && set == other.set && id == other.id }
}

extension Ending? {
    /// The kind's name in a store.
    fileprivate var kind: String {
        switch self {
        case .answered: "answered"
        case .forced: "forced"
        case .gaveUp: "gaveUp"
        case .failed: "failed"
        case nil: "unfinished"
        }
    }
}

extension Action {
    /// The action in a few words, for an outline.
    fileprivate var brief: String {
        switch self {
        case .code(let program):
            VisibleText.line(
                program.split(whereSeparator: \.isNewline).last { !$0.isEmpty }.map(String.init) ?? "", upTo: 60)
        case .toolCall(let name, let arguments): VisibleText.line("\(name) \(arguments.jsonText)", upTo: 60)
        case .answer(let value): VisibleText.line("answers \(value.text)", upTo: 60)
        case .giveUp: "gives up"
        case .unparsable: "no action"
        }
    }
}
