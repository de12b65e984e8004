import RetortCore

/// What a guest of the made-up hotel wants, as a task and as a trajectory that fulfils it.
struct HotelWish {
    private enum Kind: Int, CaseIterable { case price, nights, total, book, leave }

    private let kind: Kind
    /// One; two in a `total`.
    private let rooms: [Int]
    private let guest: String
    private let nights: Int
    private let number: Int

    private static let names = [
        "Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gwen", "Hugo", "Iris", "Jack", "Kate", "Liam", "Mona", "Nils",
        "Olga", "Paul", "Quinn", "Rosa", "Sam", "Tina", "Uma", "Vera", "Will", "Yara", "Zoe",
    ]
    /// From 101 on. So many, and so many wishes, that a small model learns to copy what it is told instead of memorising it.
    private static let houseSize = 899
    private static let each = 480

    /// All of them, always in the same order. Every tenth is reserved for testing.
    static let all: [HotelWish] = Kind.allCases.flatMap { kind in
        (0..<each).map { index in
            HotelWish(
                kind: kind, rooms: (0..<(kind == .total ? 2 : 1)).map { room(kind, index, $0) },
                guest: names[(index * 3 + index / names.count) % names.count], nights: 2 + index % 9,
                number: kind.rawValue * each + index)
        }
    }.uniqued

    private static func room(_ kind: Kind, _ index: Int, _ place: Int) -> Int {
        101 + (index * 137 + kind.rawValue * 31 + place * (17 + index % 97)) % houseSize
    }

    var isTest: Bool { number % 10 == 0 }
    private var id: String { "wish-\(number)" }
    private var room: Int { rooms[0] }
    private var prices: [Int] { rooms.map { 60 + $0 * 7 % 31 * 5 } }
    private var both: String { rooms.map(String.init).joined(separator: " and ") }

    var question: String {
        switch kind {
        case .price: "What does room \(room) cost for a night?"
        case .nights: "What does room \(room) cost for \(nights) nights?"
        case .total: "What do rooms \(both) cost together for a night?"
        case .book: "Please book room \(room) for \(guest)."
        case .leave: "\(guest) leaves room \(room) and wants to check out."
        }
    }

    private var guests: [String: JSONValue] { kind == .leave ? ["\(room)": .string(guest)] : [:] }
    private var left: [String: JSONValue] { kind == .book ? ["\(room)": .string(guest)] : [:] }

    private var answer: JSONValue {
        switch kind {
        case .price: .integer(prices[0])
        case .nights: .integer(prices[0] * nights)
        case .total: .integer(prices.reduce(0, +))
        case .book: .string("room \(room) is booked for \(guest)")
        case .leave: .string("\(guest) has left room \(room)")
        }
    }

    /// A line of a task file.
    var record: JSONValue {
        [
            "id": .string(id), "question": .string(question), "answer": .string(answer.text),
            "guests": .object(guests), "left": .object(left),
        ]
    }

    /// How the teacher fulfils it.
    var trajectory: Trajectory {
        var trajectory = Trajectory(
            task: AgentTask(
                id: id, question: question, answers: [answer.text], family: .init(rawValue: "python"), split: "train"),
            provenance: Provenance(policy: "agent", model: "written by hand"))
        switch kind {
        case .price, .nights:
            let seen = "{'room': \(room), 'price': \(prices[0]), 'guest': None}"
            let look = "room = find_room(\(room))\nprint(room)"
            trajectory.append(step("I look up room \(room).", look, .success, text: seen))
            let program = kind == .price ? "final_answer(room['price'])" : "final_answer(room['price'] * \(nights))"
            trajectory.append(step("A night costs \(prices[0]).", program, .final(answer)))
        case .total:
            let program = "final_answer(\(rooms.map { "find_room(\($0))['price']" }.joined(separator: " + ")))"
            trajectory.append(step("I add the prices of rooms \(both).", program, .final(answer)))
        case .book:
            let program = "final_answer(book_room(\(room), '\(guest)'))"
            trajectory.append(step("I book room \(room) for \(guest).", program, .final(answer)))
        case .leave:
            trajectory.append(step("\(guest) leaves room \(room).", "final_answer(check_out(\(room)))", .final(answer)))
        }
        trajectory.end(.answered(answer))
        trajectory.state = .object(left)
        return trajectory
    }

    private func step(
        _ thought: String, _ program: String, _ outcome: Observation.Outcome, text: String = ""
    ) -> Step {
        Step(thought: thought, action: .code(program), observation: Observation(text: text, outcome: outcome))
    }
}

extension [HotelWish] {
    /// Each question once.
    fileprivate var uniqued: [HotelWish] {
        var known: Set<String> = []
        return filter { known.insert($0.question).inserted }
    }
}
