import RetortCore

/// A call that a task needs.
public struct APINeed: Sendable, Hashable {
    /// What must be called.
    public let capability: APICapability
    /// The call's arguments, as a JSON object; empty for the second call of a chain whose first finds nothing.
    public let arguments: JSONValue
    /// What is asked for, such as `the mayor of Fenn`.
    public let phrase: String
    /// What the APIs answer; nil when nothing can be found.
    public let value: JSONValue?
}

/// How a task is solved, as data: what must be found, in order. Graders do not see it.
public struct APIPlan: Sendable, Hashable {
    /// The calls, in the order in which they are made.
    public let needs: [APINeed]
    /// Whether each need starts from the value that the previous one found.
    public let isChain: Bool
    /// Whether the offered APIs can answer the question.
    public let isSolvable: Bool
    /// Whether the teacher makes a wrong call first, so that its second attempt is told about the first.
    public let strays: Bool
}

/// Tasks for the world's APIs: single calls, two calls one after the other or side by side, some with providers that
/// are busy or dead, some that cannot be solved.
///
/// `train` and `in` use the same providers and all capabilities except the held-out ones; in `out` every provider is
/// new, and about half of the tasks need a held-out capability.
public struct APITasks: Sendable {
    /// A task with the plan that solves it.
    public struct Item: Sendable {
        /// The task, with its tools.
        public let task: AgentTask
        /// How the teacher solves it.
        public let plan: APIPlan
    }

    /// What makes a task harder to solve.
    enum Obstacle: String, CaseIterable {
        case none, busy, deadWithAlternative = "dead, another offered", dead, missing = "no such API",
            notFound = "not found"

        var isSolvable: Bool {
            switch self {
            case .none, .busy, .deadWithAlternative: true
            case .dead, .missing, .notFound: false
            }
        }
    }

    private let world: World
    private let backend: APIBackend
    private let seed: UInt64
    private let providers: (known: [String], new: [String])

    private static let providerCount = 150

    /// Tasks about a world. The seed makes the providers' names and draws the tasks. Throws only if a capability's own
    /// JSON schema is invalid.
    public init(_ world: World, seed: UInt64) throws {
        self.world = world
        self.seed = seed
        backend = try APIBackend(world)
        var names = NameMaker(SeededGenerator(seed: seed, "providers"))
        var all: [String] = []
        var seen: Set<String> = []
        while all.count < 2 * Self.providerCount {
            let name = names.word(2).lowercased()
            if seen.insert(name).inserted { all.append(name) }
        }
        providers = (Array(all.prefix(Self.providerCount)), Array(all.dropFirst(Self.providerCount)))
    }

    /// The tasks of a split: `train`, `in` or `out`. The same seed gives the same tasks.
    ///
    /// Fewer than `count` are returned when no further question is found in about 50 attempts per task.
    /// - Parameter taken: questions that must not be asked again.
    public func items(_ split: String, count: Int, excluding taken: Set<String> = []) -> [Item] {
        var generator = SeededGenerator(seed: seed, "api tasks \(split)")
        var seen = taken
        var items: [Item] = []
        var attempts = 0
        while items.count < count, attempts < count * 50 + 1000 {
            attempts += 1
            guard let item = draw(split, items.count, &generator), seen.insert(item.task.question).inserted else {
                continue
            }
            items.append(item)
        }
        return items
    }

    private func draw(_ split: String, _ number: Int, _ generator: inout SeededGenerator) -> Item? {
        let obstacle = obstacle(&generator)
        let isNew = split == "out"
        // About half of the new tasks start with a capability that no training task has.
        let usesHeldOut = isNew && Bool.random(using: &generator)
        let form = Int.random(in: 0..<100, using: &generator)
        guard let needs = needs(form, usesHeldOut: usesHeldOut, notFound: obstacle == .notFound, &generator) else {
            return nil
        }
        let isChain = (45..<80).contains(form)
        guard let tools = tools(for: needs, obstacle, isNew: isNew, &generator) else { return nil }
        let strays = split == "train" && obstacle == .none && Int.random(in: 0..<100, using: &generator) < 12
        let plan = APIPlan(needs: needs, isChain: isChain, isSolvable: obstacle.isSolvable, strays: strays)
        var task = AgentTask(
            id: "api-\(split)-\(number)", question: question(plan, &generator),
            answers: plan.isSolvable ? [plan.answer] : [], family: .factual, split: split,
            metadata: [
                "type": .string(needs.map(\.capability.rawValue).joined(separator: isChain ? "." : "+")),
                "obstacle": .string(obstacle.rawValue), "calls": .integer(needs.count),
                "unseen": .string(!isNew ? "nothing" : usesHeldOut ? "category" : "tool"),
            ])
        task.isSolvable = plan.isSolvable
        task.tools = tools.map(\.document)
        return Item(task: task, plan: plan)
    }

    private func obstacle(_ generator: inout SeededGenerator) -> Obstacle {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<64: .none
        case 64..<75: .busy
        case 75..<86: .deadWithAlternative
        case 86..<90: .dead
        case 90..<96: .missing
        default: .notFound
        }
    }

    // MARK: What is asked

    /// One call (45 %), two calls where the second starts from the first one's result (35 %), or two independent calls
    /// (20 %).
    private func needs(
        _ form: Int, usesHeldOut: Bool, notFound: Bool, _ generator: inout SeededGenerator
    ) -> [APINeed]? {
        let pool = APICapability.allCases.filter { APICapability.heldOut.contains($0) == usesHeldOut }
        let known = APICapability.allCases.filter { !APICapability.heldOut.contains($0) }
        func pick(_ list: [APICapability]) -> APICapability? { list.randomElement(using: &generator) }
        switch form {
        case 0..<45:
            guard let only = pick(pool) else { return nil }
            return need(only, subject: subject(only, notFound: notFound, &generator), &generator).map { [$0] }
        case 45..<80:
            // In a chain, the held-out capability is the second one.
            guard let first = pick(known.filter { $0.result != nil }), let kind = first.result,
                let second = pick(pool.filter { $0.subject == .entity(kind) }),
                let start = need(first, subject: subject(first, notFound: notFound, &generator), &generator)
            else { return nil }
            guard let found = start.value else { return [start, unknown(second, after: start)] }
            guard let end = need(second, subject: found, &generator) else { return nil }
            return [start, end]
        default:
            guard let first = pick(pool), let second = pick(known.filter { $0 != first }),
                let one = need(first, subject: subject(first, notFound: false, &generator), &generator),
                let other = need(second, subject: subject(second, notFound: notFound, &generator), &generator)
            else { return nil }
            return [one, other]
        }
    }

    private func need(
        _ capability: APICapability, subject: JSONValue?, _ generator: inout SeededGenerator
    ) -> APINeed? {
        guard let subject else { return nil }
        var arguments: [String: JSONValue] = [capability.subject.parameter: subject]
        var phrase = capability.phrase
        for extra in capability.extras {
            let value: JSONValue =
                switch extra {
                case .day: .integer(Int.random(in: 1...31, using: &generator))
                case .nights: .integer(Int.random(in: 2...9, using: &generator))
                case .destination: entity(.city, &generator)
                }
            guard value != subject else { return nil }
            arguments[extra.parameter] = value
            phrase = phrase.replacing("{\(extra.parameter)}", with: value.text)
        }
        return APINeed(
            capability: capability, arguments: .object(arguments),
            phrase: phrase.replacing("{s}", with: subject.text),
            value: backend.value(capability, .object(arguments), cancelled: []))
    }

    /// The second call of a chain whose first finds nothing; it is never made.
    private func unknown(_ capability: APICapability, after start: APINeed) -> APINeed {
        APINeed(
            capability: capability, arguments: [:],
            phrase: capability.phrase.replacing("{s}", with: start.phrase).replacing("{day}", with: "1")
                .replacing("{nights}", with: "2").replacing("{to}", with: "the capital"), value: nil)
    }

    private func subject(
        _ capability: APICapability, notFound: Bool, _ generator: inout SeededGenerator
    ) -> JSONValue? {
        // Orders, currencies and items can always be found.
        guard !notFound || capability.subject.isEntity else { return nil }
        switch capability.subject {
        case .order: return .integer(Int.random(in: 1000...9999, using: &generator))
        case .currency: return .string(APIBackend.currencies.randomElement(using: &generator) ?? "")
        case .item: return .string(APIBackend.items.randomElement(using: &generator) ?? "")
        case .entity(let kind):
            guard notFound else { return entity(kind, &generator) }
            var names = NameMaker(SeededGenerator(seed: generator.next(), "nobody"))
            return .string(names.name(kind))
        }
    }

    private func entity(_ kind: EntityKind, _ generator: inout SeededGenerator) -> JSONValue {
        let all = world.indices(of: kind)
        return .string(world.entities[all[Int.random(in: 0..<all.count, using: &generator)]].name)
    }

    private func question(_ plan: APIPlan, _ generator: inout SeededGenerator) -> String {
        let asked = plan.asked
        if plan.needs.count == 1, let need = plan.needs.first {
            if need.capability == .cancelOrder { return "Cancel order \(need.arguments["order"]?.text ?? "")." }
            if let relation = need.capability.relation, Bool.random(using: &generator),
                let template = relation.questions.randomElement(using: &generator)
            {
                return template.filled(subject: need.arguments[need.capability.subject.parameter]?.text ?? "")
            }
        }
        let openings = ["What is", "Tell me", "I would like to know", "Find"]
        let opening = openings[Int.random(in: 0..<openings.count, using: &generator)]
        return "\(opening) \(asked)\(opening == "What is" ? "?" : ".")"
    }

    // MARK: What is offered

    /// The APIs of a task: those that it needs, subject to the obstacle, and one or two others.
    private func tools(
        for needs: [APINeed], _ obstacle: Obstacle, isNew: Bool, _ generator: inout SeededGenerator
    ) -> [WorldAPI]? {
        let names = isNew ? providers.new : providers.known
        var used: Set<String> = []
        func provider(_ reliability: WorldAPI.Reliability) -> String? {
            let free = names.filter { WorldAPI.reliability(of: $0) == reliability && !used.contains($0) }
            guard let name = free.randomElement(using: &generator) else { return nil }
            used.insert(name)
            return name
        }
        var offered: [WorldAPI] = []
        // The obstacle affects the last call, so that some work comes before it.
        for (index, need) in needs.enumerated() {
            let isLast = index == needs.count - 1
            var kinds: [WorldAPI.Reliability] = [.steady]
            if isLast {
                switch obstacle {
                case .none, .notFound: break
                case .busy: kinds = [.flaky]
                case .deadWithAlternative: kinds = [.dead, .steady]
                case .dead: kinds = [.dead]
                case .missing: kinds = []
                }
            }
            for kind in kinds {
                guard let name = provider(kind) else { return nil }
                offered.append(WorldAPI(need.capability, provider: name))
            }
        }
        let others = APICapability.allCases.filter { capability in
            !needs.contains { $0.capability == capability } && (isNew || !APICapability.heldOut.contains(capability))
        }
        for _ in 0..<Int.random(in: 1...2, using: &generator) {
            guard let other = others.randomElement(using: &generator), let name = provider(.steady) else { return nil }
            offered.append(WorldAPI(other, provider: name))
        }
        return offered.shuffled(using: &generator)
    }
}

extension APIPlan {
    /// What is asked, in words.
    var asked: String {
        guard isChain, needs.count == 2, let inner = needs.first, let outer = needs.last else {
            return needs.map(\.phrase).joined(separator: ", and ")
        }
        guard let found = inner.value else { return outer.phrase }
        // The chain's second phrase names what only the first call finds; the question names where it starts.
        return outer.phrase.replacing(found.text, with: inner.phrase)
    }

    /// The reference answer.
    var answer: String {
        (isChain ? needs.suffix(1) : needs[...]).map { $0.value?.text ?? "" }.joined(separator: " and ")
    }
}
