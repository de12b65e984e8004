import RetortCore

/// Endless plain text for pretraining a base model that can read, copy and continue; the same for the same seed.
///
/// It is about worlds of its own, a new one every few hundred documents, so its names are practically unlimited and
/// never those of a world that questions are asked about. It contains no agent trajectory: no dialogue of thoughts,
/// programs and observations, and no tool.
package struct WorldText: IteratorProtocol, Sequence, Sendable {
    private let seed: UInt64
    private var count = 0
    private var generator: SeededGenerator
    private var world: World
    private var questions: FactualQuestions
    private var names: NameMaker
    private static let documentsPerWorld = 200

    /// The text of a seed, from its beginning.
    package init(seed: UInt64) {
        self.seed = seed
        generator = SeededGenerator(seed: seed, "text")
        let first = World(seed: seed ^ StableHash.of("text world 0"), people: 60)
        world = first
        questions = FactualQuestions(first, seed: seed)
        names = NameMaker(SeededGenerator(seed: seed, "text names"))
    }

    /// The next document, about a few articles, drills, a word problem or comparisons; never nil.
    package mutating func next() -> String? {
        if count > 0, count % Self.documentsPerWorld == 0 {
            let number = count / Self.documentsPerWorld
            world = World(seed: seed ^ StableHash.of("text world \(number)"), people: 60)
            questions = FactualQuestions(world, seed: seed &+ UInt64(number))
            names = NameMaker(SeededGenerator(seed: seed, "text names \(number)"))
        }
        count += 1
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<27: return reading()
        case 27..<39: return chainReading()
        case 39..<69: return drills()
        case 69..<91: return story()
        default: return comparisons()
        }
    }

    // MARK: Reading

    /// Articles, then questions about them with their answers, or their facts restated.
    private mutating func reading() -> String {
        let chosen = (0..<Int.random(in: 2...6, using: &generator)).map { _ in entity() }
        var lines = articles(chosen)
        for _ in 0..<Int.random(in: 3...10, using: &generator) {
            let subject = chosen[below(chosen.count)]
            let relations = Relation.of(world.entities[subject].kind)
            let relation = relations[below(relations.count)]
            guard let statement = world.statement(relation, of: subject),
                let value = world.value(relation, of: subject)
            else { continue }
            let name = world.entities[subject].name
            let question = relation.questions[below(relation.questions.count)].filled(subject: name)
            switch below(4) {
            case 0: lines.append("Question: \(question) Answer: \(world.text(value))")
            case 1: lines.append("\(question) \(statement)")
            case 2: lines.append("\(name) \(relation.keyword): \"\(world.text(value))\"")
            default: lines.append(statement)
            }
        }
        return lines.joined(separator: "\n")
    }

    /// A question over two articles, the facts that lead to its answer, and the answer.
    private mutating func chainReading() -> String {
        let chain = relationChain()
        guard let first = chain.first, let last = chain.last else { return drills() }
        let starts = world.entities.filter { $0.kind == first.subject }
        var current = starts[below(starts.count)].index
        var chosen: [Int] = (0...below(3)).map { _ in entity() }
        var statements: [String] = []
        let inner = chain.dropLast().reduce(world.entities[current].name) { $1.nounPhrase.filled(subject: $0) }
        var answer = ""
        for relation in chain {
            chosen.append(current)
            guard let value = world.value(relation, of: current) else { break }
            statements.append(world.statement(relation, of: current) ?? "")
            answer = world.text(value)
            if case .entity(let next) = value { current = next }
        }
        let question = last.questions[below(last.questions.count)].filled(subject: inner)
        chosen.shuffle(using: &generator)
        return (articles(chosen) + ["Question: \(question)", statements.joined(separator: " "), "Answer: \(answer)"])
            .joined(separator: "\n")
    }

    /// Two or three relations that follow one another; never a chain that is reserved for the out-of-domain test.
    private mutating func relationChain() -> [Relation] {
        while true {
            var chain = [Relation.allCases[below(Relation.allCases.count)]]
            let length = below(5) == 0 ? 3 : 2
            while chain.count < length, let kind = chain.last?.value {
                let next = Relation.of(kind)
                chain.append(next[below(next.count)])
            }
            if chain.count == length, !FactualQuestions.newChains.contains(chain) { return chain }
        }
    }

    private mutating func articles(_ entities: [Int]) -> [String] {
        let style = below(3)
        return entities.enumerated().map { position, entity in
            let contents = world.passage(entity).contents
            return style == 0 ? contents : style == 1 ? "[\(position + 1)] \(contents)" : "\(contents)\n"
        }
    }

    // MARK: Copying

    /// Lines that each repeat something from themselves or from earlier lines.
    private mutating func drills() -> String {
        var lines: [String] = []
        var items = (0..<Int.random(in: 2...5, using: &generator)).map { _ in item() }
        for _ in 0..<Int.random(in: 4...20, using: &generator) {
            let subject = items[below(items.count)]
            switch below(10) {
            case 0: lines.append("\(subject) = \(subject)")
            case 1: lines.append("Repeat: \(subject). \(subject).")
            case 2: lines.append("name = \"\(subject)\"\nprint(name)\n\(subject)")
            case 3: lines.append("The value is \(subject). So we write \"\(subject)\".")
            case 4: lines.append("find(\"\(subject)\") looks for \(subject).")
            case 5:
                lines.append("List: \(items.joined(separator: ", ")).")
                lines.append("Again: \(items.joined(separator: ", ")).")
            case 6: lines.append("The result is \(subject). The answer is \(subject).")
            case 7:
                let sentence = "\(names.word(2)) told \(names.word(2)) about \(subject)."
                lines.append("\(sentence) Once more: \(sentence)")
            case 8:
                lines.append("We need the \(keyword()) of \(subject). Look up \"\(subject) \(keyword())\".")
            default:
                lines.append("First: \(items[0]). Last: \(items[items.count - 1]).")
                items.append(item())
            }
        }
        return lines.joined(separator: "\n")
    }

    /// A fresh name or number.
    private mutating func item() -> String {
        switch below(8) {
        case 0...3: String(number())
        case 4: names.name(.person)
        case 5: names.name(.city)
        case 6: names.name(.work)
        default: names.name(.organisation)
        }
    }

    // MARK: Numbers

    /// A word problem's story, then its numbers in order and the formula.
    private mutating func story() -> String {
        var lines: [String] = []
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let chain = operationChain()
            let digits = Bool.random(using: &generator) ? 1...8 : 4...8
            guard let plan = WordProblems.numbers(chain, digits: digits, &generator) else { continue }
            let story = WordProblems.story(
                plan, thing: plural(names.word(2).lowercased()), owner: "The \(names.word(2)) of \(names.word(2))",
                &generator)
            let assigned = zip(WordProblems.Plan.names, plan.numbers).map { "\($0) = \($1)" }
            switch below(3) {
            case 0: lines.append("\(story)\n\(assigned.joined(separator: "\n"))")
            case 1: lines.append("\(story)\nThe numbers are \(plan.numbers.map(String.init).joined(separator: ", ")).")
            default: lines.append("\(story)\n\(assigned.joined(separator: "\n"))\nx = \(plan.formula)")
            }
        }
        return lines.isEmpty ? drills() : lines.joined(separator: "\n")
    }

    private func plural(_ word: String) -> String {
        word.hasSuffix("s") || word.hasSuffix("x") ? word + "es" : word + "s"
    }

    /// Two to four operations that a story can tell; never a chain that is reserved for the out-of-domain test.
    private mutating func operationChain() -> [WordProblems.Operation] {
        while true {
            var chain: [WordProblems.Operation] = []
            for position in 0..<Int.random(in: 2...4, using: &generator) {
                let choices: [WordProblems.Operation] =
                    position == 0 ? [.groups, .groups, .more, .fewer] : [.more, .more, .fewer, .fewer, .times, .share]
                chain.append(choices[below(choices.count)])
                if chain.last == .share { break }
            }
            if chain.count >= 2, !WordProblems.newChains.contains(chain) { return chain }
        }
    }

    /// Years and other numbers compared.
    private mutating func comparisons() -> String {
        (0..<Int.random(in: 3...8, using: &generator)).map { _ in
            let (a, b) = (year(), year())
            switch below(4) {
            case 0: return a < b ? "\(a) is earlier than \(b)." : "\(b) is earlier than \(a)."
            case 1:
                let (x, y) = (number(), number())
                return x < y ? "\(y) is more than \(x)." : "\(x) is more than \(y)."
            case 2: return a < b ? "From \(a) to \(b): \(b) - \(a)" : "From \(b) to \(a): \(a) - \(b)"
            default:
                let (x, y) = (names.name(.person), names.name(.person))
                return "\(x) was born in \(a). \(y) was born in \(b). \(a < b ? x : y) was born earlier."
            }
        }.joined(separator: "\n")
    }

    private mutating func year() -> Int { Int.random(in: 1400..<2000, using: &generator) }

    /// A number of 1 to 9 digits, each length as likely.
    private mutating func number() -> Int {
        let low = (0..<below(9)).reduce(1) { low, _ in low * 10 }
        return Int.random(in: low..<low * 10, using: &generator)
    }

    private mutating func keyword() -> String { Relation.allCases[below(Relation.allCases.count)].keyword }

    private mutating func entity() -> Int { below(world.entities.count) }

    private mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &generator) }
}
