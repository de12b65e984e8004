import RetortCore

/// Word problems of two to four operations, told in sentences whose numbers must be copied and computed with.
///
/// A story is an opening and some changes. `train` and `in` use the sequences of operations in `knownChains`, about
/// two thirds of the training problems with numbers of 1–3 digits; `out` uses the sequences in `newChains`, other names
/// and objects, and numbers of 4–8 digits (as GSM-Hard enlarges GSM8K, arXiv 2211.10435).
public struct WordProblems: Sendable {
    /// One operation of a story.
    public enum Operation: String, Sendable, Hashable, CaseIterable {
        /// Boxes of equal content (multiplication), addition, subtraction, multiplication, and division into equal
        /// parts.
        case groups, more, fewer, times, share
    }

    /// A problem as data: the numbers in the order of the story, and the formula over `a`, `b`, `c`, …
    public struct Plan: Sendable, Hashable {
        /// The story's numbers: one more than operations.
        public let numbers: [Int]
        /// What is done with the numbers, from left to right.
        public let operations: [Operation]
        /// The answer, a non-negative whole number.
        public let result: Int

        /// In Python, such as `(a * b + c - d) // e`.
        public var formula: String {
            var formula = "a"
            for (position, operation) in operations.enumerated() {
                let name = Plan.names[position + 1]
                switch operation {
                case .groups: formula = "\(formula) * \(name)"
                case .more: formula = "\(formula) + \(name)"
                case .fewer: formula = "\(formula) - \(name)"
                case .times: formula = position == 0 ? "a * \(name)" : "(\(formula)) * \(name)"
                case .share: formula = position == 0 ? "a // \(name)" : "(\(formula)) // \(name)"
                }
            }
            return formula
        }

        static let names = ["a", "b", "c", "d", "e"]
    }

    /// A problem with the plan that solves it.
    public struct Item: Sendable {
        /// The problem with its answer.
        public let task: AgentTask
        /// How the teacher solves it.
        public let plan: Plan
    }

    /// Every sequence of two or three operations that a story can tell, except the new ones.
    static let knownChains: [[Operation]] = {
        let later: [Operation] = [.more, .fewer, .times, .share]
        let twos = [Operation.groups, .more, .fewer].flatMap { first in later.map { [first, $0] } }
        // Sharing ends a story.
        let threes = twos.filter { $0.last != .share }.flatMap { two in later.map { two + [$0] } }
        return (twos + threes).filter { !newChains.contains($0) }
    }()
    static let newChains: [[Operation]] = [
        [.groups, .more, .fewer], [.fewer, .more, .fewer], [.fewer, .times], [.more, .share],
        [.groups, .more, .more], [.groups, .fewer, .share], [.fewer, .more, .times], [.groups, .fewer, .more, .fewer],
    ]
    private static let knownThings = [
        "apples", "books", "coins", "stones", "lamps", "tickets", "bottles", "shirts", "candles", "pencils",
    ]
    private static let newThings = ["tiles", "seeds", "bricks", "buttons", "marbles", "ribbons"]
    private static let places = ["shop", "farm", "school", "library", "workshop", "museum", "market", "station"]

    private let seed: UInt64

    /// Problems drawn from a seed.
    public init(seed: UInt64) { self.seed = seed }

    /// The problems of a split: `train`, `in` or `out`. The same seed gives the same problems.
    /// - Parameter taken: questions that must not be asked again.
    public func items(_ split: String, count: Int, excluding taken: Set<String> = []) -> [Item] {
        var generator = SeededGenerator(seed: seed, "problems \(split)")
        var names = NameMaker(SeededGenerator(seed: seed, "names of problems \(split)"))
        var seen = taken
        var items: [Item] = []
        // There are fewer problems than might be asked for; each is drawn many times before that is believed.
        var failures = 0
        while items.count < count, failures < 10_000 {
            guard let (question, plan) = draw(split, &generator, &names), seen.insert(question).inserted else {
                failures += 1
                continue
            }
            failures = 0
            let task = AgentTask(
                id: "math-\(split)-\(items.count)", question: question, answers: [String(plan.result)], family: .math,
                split: split,
                metadata: [
                    "type": .string(plan.operations.map(\.rawValue).joined(separator: ".")),
                    "operations": .integer(plan.operations.count),
                ])
            items.append(Item(task: task, plan: plan))
        }
        return items
    }

    private func draw(
        _ split: String, _ generator: inout SeededGenerator, _ names: inout NameMaker
    ) -> (String, Plan)? {
        let isNew = split == "out"
        let chains = isNew ? Self.newChains : Self.knownChains
        let operations = chains[Int.random(in: 0..<chains.count, using: &generator)]
        let isLong = isNew || (split == "train" && Int.random(in: 0..<100, using: &generator) < 35)
        guard let plan = Self.numbers(operations, digits: isLong ? 4...8 : 1...3, &generator) else { return nil }
        let things = isNew ? Self.newThings : Self.knownThings
        let thing = things[Int.random(in: 0..<things.count, using: &generator)]
        let place = Self.places[Int.random(in: 0..<Self.places.count, using: &generator)]
        return (Self.story(plan, thing: thing, owner: "The \(place) of \(names.word(2))", &generator), plan)
    }

    /// Draws numbers so that nothing becomes negative, every division is exact, and everything fits 64 bits.
    static func numbers(
        _ operations: [Operation], digits: ClosedRange<Int>, _ generator: inout SeededGenerator
    ) -> Plan? {
        func number(_ digits: ClosedRange<Int>) -> Int {
            let length = Int.random(in: digits, using: &generator)
            let low = (1..<length).reduce(1) { low, _ in low * 10 }
            return Int.random(in: max(low, 2)..<low * 10, using: &generator)
        }
        var numbers = [number(digits)]
        var value = numbers[0]
        for operation in operations {
            switch operation {
            case .groups:
                numbers.append(number(digits))
                value *= numbers[numbers.count - 1]
            case .more:
                numbers.append(number(digits))
                value += numbers[numbers.count - 1]
            case .fewer:
                let taken = number(digits)
                guard taken < value else { return nil }
                numbers.append(taken)
                value -= taken
            case .times:
                numbers.append(Int.random(in: 2...9, using: &generator))
                value *= numbers[numbers.count - 1]
            case .share:
                guard let parts = (2...12).shuffled(using: &generator).first(where: { value % $0 == 0 }) else {
                    return nil
                }
                numbers.append(parts)
                value /= parts
            }
        }
        return Plan(numbers: numbers, operations: operations, result: value)
    }

    static func story(
        _ plan: Plan, thing: String, owner: String, _ generator: inout SeededGenerator
    ) -> String {
        func pick(_ list: [String]) -> String { list[Int.random(in: 0..<list.count, using: &generator)] }
        var sentences: [String] = []
        var rest = plan.operations[...]
        if rest.first == .groups {
            rest = rest.dropFirst()
            sentences.append(
                pick([
                    "\(owner) has {a} boxes with {b} \(thing) each.",
                    "\(owner) fills {a} boxes with {b} \(thing) each.",
                ]))
        } else {
            sentences.append(pick(["\(owner) has {a} \(thing).", "\(owner) starts with {a} \(thing)."]))
        }
        var isShared = false
        for (offset, operation) in rest.enumerated() {
            let name = "{\(Plan.names[plan.operations.count - rest.count + 1 + offset])}"
            switch operation {
            case .more:
                sentences.append(pick(["It buys \(name) more.", "Then \(name) more arrive.", "It gets \(name) more."]))
            case .fewer:
                sentences.append(pick(["It sells \(name).", "Then \(name) are lost.", "It gives away \(name)."]))
            case .times, .groups: sentences.append("Then the number grows to \(name) times as many.")
            case .share:
                sentences.append("All of them are shared equally among \(name) people.")
                isShared = true
            }
        }
        sentences.append(
            isShared ? "How many \(thing) does each person get?" : "How many \(thing) are there in the end?")
        return zip(Plan.names, plan.numbers).reduce(sentences.joined(separator: " ")) { text, pair in
            text.replacing("{\(pair.0)}", with: String(pair.1))
        }
    }
}
