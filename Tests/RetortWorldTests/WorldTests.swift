import RetortAgents
import RetortCore
import RetortWorld
import Testing

@Suite("The micro-world")
struct WorldTests {
    private let world = World(seed: 3, people: 200)

    @Test("is the same for the same seed")
    func determinism() {
        #expect(World(seed: 3, people: 200).passages == world.passages)
        #expect(World(seed: 4, people: 200).passages != world.passages)
        #expect(Array(WorldText(seed: 5).prefix(300)) == Array(WorldText(seed: 5).prefix(300)))
    }

    @Test("every name is unique, and its passage holds all its facts")
    func passages() {
        #expect(Set(world.entities.map(\.name)).count == world.entities.count)
        for entity in world.entities {
            let contents = world.passage(entity.index).contents
            #expect(contents.hasPrefix(entity.name + "\n"))
            for relation in Relation.allCases where relation.subject == entity.kind {
                guard let value = world.value(relation, of: entity.index) else { continue }
                #expect(contents.contains(world.text(value)))
            }
        }
    }

    @Test("splits share no question, and out of domain has relation chains of its own")
    func splits() {
        // snippet: A world
        let world = World(seed: 3, people: 200)
        let questions = FactualQuestions(world, seed: 3)
        let train = questions.items("train", count: 150)
        let out = questions.items("out", count: 80)
        // end snippet
        #expect(train.count == 150)
        let trainTypes = Set(train.compactMap { $0.task.metadata["type"] })
        #expect(trainTypes.isDisjoint(with: out.compactMap { $0.task.metadata["type"] }))
        let trained = Set(train.map(\.task.question))
        let known = questions.items("in", count: 60, excluding: trained)
        #expect(trained.isDisjoint(with: known.map(\.task.question)))
        #expect(Set(known.compactMap { $0.task.metadata["type"] }).isSubset(of: FactualTypes.known))
    }

    @Test("out-of-domain problems have long numbers and new operations, and every answer is right")
    func problems() {
        let problems = WordProblems(seed: 3)
        let train = problems.items("train", count: 200)
        let out = problems.items("out", count: 100)
        #expect(Set(train.map(\.plan.operations)).isDisjoint(with: out.map(\.plan.operations)))
        for item in out {
            #expect((1000...99_999_999).contains(item.plan.numbers[0]))
            #expect(item.task.answers == [String(item.plan.result)])
            for number in item.plan.numbers { #expect(item.task.question.contains(String(number))) }
        }
        #expect(train.contains { $0.plan.numbers[0] >= 1000 } && train.contains { $0.plan.numbers[0] < 1000 })
    }

    @Test("pretraining text holds no agent's trajectory and no held-out question")
    func pretrainingText() {
        for document in WorldText(seed: 1).prefix(2000) {
            for word in ["Thought:", "Code:", "Observation:", "web_search", "final_answer", "<|im_start|>"] {
                #expect(!document.contains(word))
            }
        }
    }

    @Test("the scripted teacher solves every task by what it reads")
    func teacher() async throws {
        let questions = FactualQuestions(world, seed: 3)
        let factual = ["train", "in", "out"].flatMap { questions.items($0, count: 25) }
        let teacher = ScriptedTeacher(world: world, factual: factual, problems: [])
        let library = Library(world)
        for item in factual {
            let trajectory = try await Rollout(policy: teacher) { library }.trajectory(for: item.task)
            #expect(trajectory.answer == item.task.answers[0], "\(item.task.question)")
        }
    }
}

private enum FactualTypes {
    static let known: Set<JSONValue> = {
        let questions = FactualQuestions(World(seed: 9, people: 300), seed: 9)
        return Set(questions.items("train", count: 600).compactMap { $0.task.metadata["type"] })
    }()
}

/// Finds passages by title, and evaluates the few programs that the teacher writes for factual tasks.
private struct Library: Environment {
    private let passages: [String: String]

    init(_ world: World) {
        passages = Dictionary(
            uniqueKeysWithValues: world.entities.map { ($0.name, world.passage($0.index).contents) })
    }

    func perform(_ action: Action) -> Observation {
        let program = action.code ?? ""
        if program.hasPrefix("print(web_search(") {
            let query = program.split(separator: "\"")[1]
            let found = passages.filter { query.hasPrefix($0.key) }.max { $0.key.count < $1.key.count }
            return Observation(text: found.map { "[1] \($0.value)" } ?? "(no results)", outcome: .success)
        }
        let inner = program.dropFirst("final_answer(".count).dropLast()
        return Observation(text: "", outcome: .final(.string(evaluate(String(inner)))))
    }

    private func evaluate(_ expression: String) -> String {
        let words = expression.split(separator: " ").map(String.init)
        if expression.contains(" if ") {
            let names = expression.split(separator: "\"").map(String.init)
            let comparison = names[1].split(separator: " ").map(String.init)
            let (x, y) = (Int(comparison[1]) ?? 0, Int(comparison[3]) ?? 0)
            return (comparison[2] == "<" ? x < y : x > y) ? names[0] : names[2]
        }
        if words.count == 3, words[1] == "-", let a = Int(words[0]), let b = Int(words[2]) { return String(a - b) }
        return expression.replacing("\"", with: "")
    }

    func fork() -> any Environment { self }
    func close() {}
}
