import Foundation
import RetortAgents
import RetortCore

/// A teacher's trajectories, divided by task into those that are learned from and those whose loss is measured in
/// training.
///
/// Trajectories of the same question stay together, and with them all roles and turns made from one. Which tasks are
/// held out depends only on their questions and the seed: another order, or a few more tasks, moves no other task.
struct HeldOut: Sendable {
    var learned: [Lesson]
    var held: [Lesson] = []
    /// The number of held-out tasks.
    var tasks = 0
    /// A note about it; nil for none.
    var note: String?

    /// Everything is learned from.
    init(learning lessons: [Lesson]) { learned = lessons }

    /// - Throws: `RunError.nothingToLookAt` where a share was requested and there is only one task.
    init(_ lessons: [Lesson], _ choice: ValidationChoice, seed: UInt64, style: String) throws {
        self.init(learning: lessons)
        let questions = Set(lessons.map { Self.key($0.trajectory.task) })
        let count: Int
        if let share = choice.share {
            guard questions.count > 1 else {
                throw RunError.nothingToLookAt(style: style, tasks: questions.count, why: "none can be spared")
            }
            count = min(Int((share * Double(questions.count)).rounded()), questions.count - 1)
        } else if questions.count < ValidationChoice.fewestToHoldOut {
            note =
                "\(questions.count) tasks are too few to hold some out for validation unasked; 'validation: 0.1' does"
            return
        } else {
            count = max(Int((ValidationChoice.usualShare * Double(questions.count)).rounded()), ValidationChoice.fewest)
        }
        let ranked = questions.map { (ContentDigest.of(["held out", "\(seed)", $0]), $0) }.sorted { $0 < $1 }
        let chosen = Set(ranked.prefix(min(max(count, 1), choice.mostTasks)).map(\.1))
        learned = lessons.filter { !chosen.contains(Self.key($0.trajectory.task)) }
        held = lessons.filter { chosen.contains(Self.key($0.trajectory.task)) }
        tasks = chosen.count
        note = "\(tasks) of \(questions.count) tasks are held out for validation"
    }

    /// The domain's own validation tasks.
    init(learning lessons: [Lesson], lookingAt own: [Lesson]) {
        self.init(learning: lessons)
        held = own
        tasks = Set(own.map { Self.key($0.trajectory.task) }).count
        note = "\(tasks) validation tasks of the domain choose among the updates"
    }

    /// The questions of the held-out tasks.
    var heldKeys: Set<String> { Set(held.map { Self.key($0.trajectory.task) }) }

    /// A question, independent of case and blanks.
    static func key(_ task: AgentTask) -> String {
        task.question.lowercased().split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
}

extension RunContext {
    /// Whether a plan uses the domain's own validation tasks.
    func usesOwn(_ choice: ValidationChoice?) -> Bool {
        !source.validation.isEmpty && choice.map { $0.share == nil } ?? false
    }

    /// Whether a training of this style uses the domain's own validation tasks.
    func usesOwnValidation(_ style: Recipe.Style) -> Bool {
        usesOwn(recipe.curricula == nil ? recipe.training[style]?.validation : recipe.validation)
    }

    /// The stages whose trajectories a training of the style reads.
    func teachers(of style: Recipe.Style, _ choice: ValidationChoice?) -> [String] {
        [TeachStage.set(style)] + (usesOwn(choice) ? [TeachStage.set(style, .validation)] : [])
    }

    /// The trajectories of a style that are learned from, and those that are held out.
    /// - Parameters:
    ///   - choice: which tasks are held out; nil for none.
    ///   - name: the style's name in `results/filter-NAME.json`.
    func divided(_ style: Recipe.Style, _ choice: ValidationChoice?, reportedAs name: String) async throws -> HeldOut {
        let kept = try filtered(await store.entries(in: TeachStage.set(style)), reportedAs: name)
        guard let choice else { return HeldOut(learning: kept) }
        guard usesOwn(choice) else { return try HeldOut(kept, choice, seed: recipe.seed, style: name) }
        let entries = try await store.entries(in: TeachStage.set(style, .validation))
        let (own, dropped) = TrajectoryFilter(recipe.filter ?? FilterPlan()).split(entries)
        try AtomicFile.write(
            JSONCoding.prettyEncoder.encode(dropped), to: folder.result("filter-\(name.fileName)-validation"))
        guard !own.isEmpty else {
            throw RunError.nothingToLookAt(
                style: name, tasks: source.validation.count,
                why: "the domain's validation tasks, no trajectory passed the filters")
        }
        return HeldOut(learning: kept, lookingAt: own.map(lesson))
    }
}
