import RetortCore

/// Solves the world's tasks through the real run loop: it thinks, searches, reads what was found, and computes.
///
/// It knows each task's plan, but takes every fact from an observation: when a search did not bring the fact, it
/// searches again with other words.
public struct ScriptedTeacher: Policy {
    public let name = "agent"
    public let modelIdentity = "scripted teacher"
    let world: World
    let factual: [String: FactualPlan]
    let problems: [String: WordProblems.Plan]

    public init(world: World, factual: [FactualQuestions.Item], problems: [WordProblems.Item]) {
        self.world = world
        self.factual = Dictionary(factual.map { ($0.task.id, $0.plan) }, uniquingKeysWith: { first, _ in first })
        self.problems = Dictionary(problems.map { ($0.task.id, $0.plan) }, uniquingKeysWith: { first, _ in first })
    }

    public func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        let (thought, program) = try next(trajectory)
        return Array(repeating: Proposal(thought: thought, action: .code(program)), count: request.count)
    }

    public func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? { nil }

    func next(_ trajectory: Trajectory) throws -> (thought: String, program: String) {
        let id = trajectory.task.id
        if let plan = problems[id] { return computation(plan, trajectory) }
        switch factual[id] {
        case .chain(let start, let relations): return chain(start, relations, trajectory)
        case .comparison(let a, let b, let relation, let wantsSmaller):
            return pair("compare", (a, relation), (b, relation), trajectory) { x, y in
                let (first, second) = (world.entities[a].name, world.entities[b].name)
                let sign = wantsSmaller ? "<" : ">"
                return "final_answer(\"\(first)\" if \(x) \(sign) \(y) else \"\(second)\")"
            }
        case .difference(let a, let first, let b, let second):
            return pair("subtract", (a, first), (b, second), trajectory) { x, y in "final_answer(\(y) - \(x))" }
        case nil: throw TeacherError.unknownTask(id)
        }
    }

    /// A fact that is needed, and how it is found.
    private typealias Need = (entity: Int, relation: Relation)

    func chain(
        _ start: Int, _ relations: [Relation], _ trajectory: Trajectory
    ) -> (thought: String, program: String) {
        var needs: [Need] = []
        var current = start
        for relation in relations {
            needs.append((current, relation))
            if case .entity(let next) = world.value(relation, of: current) { current = next }
        }
        let known = found(needs, trajectory)
        let learned = known.last.map { "\($0) " } ?? ""
        guard known.count == needs.count else {
            // In a chain, each thought says what is still asked, shorter by what was found: a small student then goes on
            // from the thought before, and never has to read the whole question again.
            let need = needs[known.count]
            let left = relations.dropFirst(known.count).reversed().map(\.keyword).joined(separator: " of the ")
            let asked = relations.count > 1 ? "Asked is the \(left) of \(world.entities[need.entity].name). " : ""
            return search(need, learned: learned + asked, trajectory)
        }
        let last = needs[needs.count - 1]
        let answer = world.value(last.relation, of: last.entity).map(world.text) ?? ""
        return (learned + "That is the answer.", "final_answer(\"\(answer)\")")
    }

    private func pair(
        _ verb: String, _ first: Need, _ second: Need, _ trajectory: Trajectory,
        program: (_ x: String, _ y: String) -> String
    ) -> (thought: String, program: String) {
        let needs = [first, second]
        let known = found(needs, trajectory)
        let learned = known.last.map { "\($0) " } ?? ""
        guard known.count == 2 else {
            let both = needs.map { "the \($0.relation.keyword) of \(world.entities[$0.entity].name)" }
            return search(
                needs[known.count], learned: "\(learned)I \(verb) \(both.joined(separator: " and ")). ", trajectory)
        }
        let values = needs.map { world.value($0.relation, of: $0.entity).map(world.text) ?? "" }
        return ("\(learned)Now I \(verb).", program(values[0], values[1]))
    }

    /// The statements that the observations so far support, in the order of the needs.
    private func found(_ needs: [Need], _ trajectory: Trajectory) -> [String] {
        var statements: [String] = []
        for need in needs {
            let title = world.entities[need.entity].name
            guard let value = world.value(need.relation, of: need.entity).map(world.text),
                trajectory.steps.contains(where: {
                    $0.observation.text.contains("] \(title)\n") && $0.observation.text.contains(value)
                }),
                let statement = world.statement(need.relation, of: need.entity)
            else { break }
            statements.append(statement)
        }
        return statements
    }

    private func search(
        _ need: Need, learned: String, _ trajectory: Trajectory
    ) -> (thought: String, program: String) {
        let name = world.entities[need.entity].name
        // The same words again would find the same passages.
        let query = "\(name) \(need.relation.keyword)"
        let tried = trajectory.steps.contains { $0.action.code?.contains("\"\(query)\"") ?? false }
        return (
            "\(learned)I need the \(need.relation.keyword) of \(name).",
            "print(web_search(query=\"\(tried ? name : query)\"))"
        )
    }

    func computation(
        _ plan: WordProblems.Plan, _ trajectory: Trajectory
    ) -> (thought: String, program: String) {
        guard trajectory.steps.isEmpty else { return ("That is the answer.", "final_answer(total)") }
        let numbers = plan.numbers.map(String.init)
        let assignments = zip(WordProblems.Plan.names, numbers).map { "\($0) = \($1)" }
        return (
            "The numbers are \(numbers.joined(separator: ", ")).",
            (assignments + ["total = \(plan.formula)", "print(total)"]).joined(separator: "\n")
        )
    }
}

/// A task that the scripted teacher was not given the plan of.
public enum TeacherError: Error, CustomStringConvertible {
    case unknownTask(String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .unknownTask(let id):
            "the scripted teacher solves tasks of its own world only, and '\(id)' is none of them"
        }
    }
}
