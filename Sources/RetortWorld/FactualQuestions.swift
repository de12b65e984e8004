import RetortCore

/// What a factual question asks, as data: the teacher solves it from this, and graders do not see it.
public enum FactualPlan: Sendable, Hashable {
    /// Relations followed from an entity, one after the other. Entities are given by their index in `World.entities`.
    case chain(start: Int, [Relation])
    /// Which of two entities has the smaller (earlier) or larger value.
    case comparison(Int, Int, Relation, wantsSmaller: Bool)
    /// The difference of two years, second minus first.
    case difference(Int, Relation, Int, Relation)
}

/// Multi-hop questions over a world.
///
/// Entities are dealt into two halves by a hash. Questions of `train` and `in` start from the first half and follow
/// relation chains of the first list; those of `out` start from the second half, which no training question starts
/// from, and follow chains of the second list, which occur in no training question, although each of their relations
/// does.
public struct FactualQuestions: Sendable {
    let world: World
    private let seed: UInt64

    /// Every single relation, every pair that can follow one another, and some triples, except the new chains.
    static let knownChains: [[Relation]] = {
        let pairs = Relation.allCases.flatMap { first in
            first.value.map { kind in Relation.of(kind).map { [first, $0] } } ?? []
        }
        let triples: [[Relation]] = [
            [.author, .birthplace, .country], [.employer, .founder, .birthYear], [.publisher, .founder, .spouse],
            [.capital, .mayor, .birthplace], [.spouse, .employer, .foundingYear],
        ]
        // Single relations teach the words for each; pairs are listed twice, so that most questions take two hops.
        return (Relation.allCases.map { [$0] } + pairs + pairs + triples).filter { !newChains.contains($0) }
    }()
    static let newChains: [[Relation]] = [
        [.publisher, .headquarters], [.founder, .employer], [.spouse, .birthplace], [.leader, .birthYear],
        [.mayor, .employer], [.author, .spouse], [.headquarters, .mayor], [.birthplace, .population],
        [.publisher, .foundingYear], [.author, .employer, .headquarters],
    ]
    static let knownComparisons: [Relation] = [.birthYear, .population]
    static let newComparisons: [Relation] = [.foundingYear]

    /// Questions about a world. The seed deals the entities into halves and draws the questions.
    public init(_ world: World, seed: UInt64) {
        self.world = world
        self.seed = seed
    }

    /// A question with the plan that solves it.
    public struct Item: Sendable {
        /// The question with its answer.
        public let task: AgentTask
        /// How the teacher solves it.
        public let plan: FactualPlan
    }

    /// The questions of a split: `train`, `in` or `out`. The same seed gives the same questions.
    ///
    /// Fewer than `count` are returned when no further question is found in about 50 attempts per question.
    /// - Parameter taken: questions that must not be asked again, such as those of `train`.
    public func items(_ split: String, count: Int, excluding taken: Set<String> = []) -> [Item] {
        var generator = SeededGenerator(seed: seed, "factual \(split)")
        var seen = taken
        var items: [Item] = []
        var attempts = 0
        while items.count < count, attempts < count * 50 + 1000 {
            attempts += 1
            guard let (question, answer, plan) = draw(isNew: split == "out", &generator),
                seen.insert(question).inserted
            else { continue }
            let (type, hops) = Self.describe(plan)
            let task = AgentTask(
                id: "factual-\(split)-\(items.count)", question: question, answers: [answer], family: .factual,
                split: split, metadata: ["type": .string(type), "hops": .integer(hops)])
            items.append(Item(task: task, plan: plan))
        }
        return items
    }

    private static func describe(_ plan: FactualPlan) -> (type: String, hops: Int) {
        switch plan {
        case .chain(_, let relations): (relations.map(\.rawValue).joined(separator: "."), relations.count)
        case .comparison(_, _, let relation, _): ("compare.\(relation.rawValue)", 2)
        case .difference(_, let a, _, let b): ("difference.\(a.rawValue).\(b.rawValue)", 2)
        }
    }

    private func draw(
        isNew: Bool, _ generator: inout SeededGenerator
    ) -> (question: String, answer: String, plan: FactualPlan)? {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<10: return comparison(isNew: isNew, &generator)
        case 10..<25: return difference(isNew: isNew, &generator)
        default: return chain(isNew: isNew, &generator)
        }
    }

    private func chain(isNew: Bool, _ generator: inout SeededGenerator) -> (String, String, FactualPlan)? {
        let chains = isNew ? Self.newChains : Self.knownChains
        let relations = chains[Int.random(in: 0..<chains.count, using: &generator)]
        guard let first = relations.first, let last = relations.last,
            let start = entity(first.subject, isNew: isNew, &generator), let answer = follow(relations, from: start)
        else { return nil }
        let inner = relations.dropLast().reduce(world.entities[start].name) { $1.nounPhrase.filled(subject: $0) }
        let question = last.questions[Int.random(in: 0..<last.questions.count, using: &generator)]
        return (question.filled(subject: inner), answer, .chain(start: start, relations))
    }

    private func comparison(isNew: Bool, _ generator: inout SeededGenerator) -> (String, String, FactualPlan)? {
        let relations = isNew ? Self.newComparisons : Self.knownComparisons
        let relation = relations[Int.random(in: 0..<relations.count, using: &generator)]
        guard let a = entity(relation.subject, isNew: isNew, &generator),
            let b = entity(relation.subject, isNew: isNew, &generator), a != b,
            let x = number(relation, a), let y = number(relation, b), x != y
        else { return nil }
        let wantsSmaller = relation != .population
        let (first, second) = (world.entities[a].name, world.entities[b].name)
        let question =
            switch relation {
            case .birthYear: "Who was born earlier, \(first) or \(second)?"
            case .population: "Which city has more people, \(first) or \(second)?"
            default: "Which was founded earlier, \(first) or \(second)?"
            }
        return (
            question, (x < y) == wantsSmaller ? first : second, .comparison(a, b, relation, wantsSmaller: wantsSmaller)
        )
    }

    private func difference(isNew: Bool, _ generator: inout SeededGenerator) -> (String, String, FactualPlan)? {
        let years: [Relation] = [.birthYear, .foundingYear, .publicationYear]
        let first = years[Int.random(in: 0..<3, using: &generator)]
        // Known questions compare the same kind of year; new ones mix kinds.
        let second = isNew ? years.filter { $0 != first }[Int.random(in: 0..<2, using: &generator)] : first
        guard let a = entity(first.subject, isNew: isNew, &generator),
            let b = entity(second.subject, isNew: isNew, &generator), a != b,
            let x = number(first, a), let y = number(second, b), x < y
        else { return nil }
        let question =
            "How many years passed between \(Self.event(first, world.entities[a].name)) "
            + "and \(Self.event(second, world.entities[b].name))?"
        return (question, String(y - x), .difference(a, first, b, second))
    }

    private static func event(_ relation: Relation, _ name: String) -> String {
        switch relation {
        case .birthYear: "the birth of \(name)"
        case .foundingYear: "the founding of \(name)"
        default: "the publication of \(name)"
        }
    }

    private func number(_ relation: Relation, _ entity: Int) -> Int? {
        if case .number(let number) = world.value(relation, of: entity) { number } else { nil }
    }

    private func follow(_ relations: [Relation], from start: Int) -> String? {
        var current = start
        for (position, relation) in relations.enumerated() {
            guard let value = world.value(relation, of: current) else { return nil }
            if position == relations.count - 1 { return world.text(value) }
            guard case .entity(let next) = value else { return nil }
            current = next
        }
        return nil
    }

    /// An entity of a kind from the half that belongs to the split.
    private func entity(_ kind: EntityKind, isNew: Bool, _ generator: inout SeededGenerator) -> Int? {
        let all = world.entities.filter { $0.kind == kind && isHeldOut($0.index) == isNew }
        return all.isEmpty ? nil : all[Int.random(in: 0..<all.count, using: &generator)].index
    }

    /// Whether no training question starts from an entity.
    func isHeldOut(_ entity: Int) -> Bool { Dealing.part(of: "\(seed) \(entity)", among: 2) == 1 }
}
