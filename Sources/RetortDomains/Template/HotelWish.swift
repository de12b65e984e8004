import RetortCore

/// What a guest of the made-up hotel wants, as a task and as a trajectory that fulfils it.
struct HotelWish {
    private enum Kind: Int, CaseIterable { case price, nights, book, leave }

    private let kind: Kind
    private let room: Int
    private let guest: String
    private let nights: Int
    private let number: Int

    private static let names = [
        "Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gwen", "Hugo", "Iris", "Jack", "Kate", "Liam", "Mona", "Nils",
        "Olga", "Paul", "Quinn", "Rosa", "Sam", "Tina", "Uma", "Vera", "Will", "Yara", "Zoe",
    ]
    private static let rooms = 899
    /// Enough for a model of three million parameters to learn to copy what it is told, instead of memorising it.
    private static let each = 600

    /// All of them, always in the same order. Every tenth is reserved for testing.
    static let all: [HotelWish] = Kind.allCases.flatMap { kind in
        (0..<each).map { index in
            HotelWish(
                kind: kind, room: 101 + (index * 137 + kind.rawValue * 31) % rooms,
                guest: names[(index * 3 + index / names.count) % names.count], nights: 2 + index % 9,
                number: kind.rawValue * each + index)
        }
    }.uniqued

    var isTest: Bool { number % 10 == 0 }
    private var id: String { "wish-\(number)" }
    private var price: Int { 60 + room * 7 % 31 * 5 }

    var question: String {
        switch kind {
        case .price: "What does room \(room) cost for a night?"
        case .nights: "What does room \(room) cost for \(nights) nights?"
        case .book: "Please book room \(room) for \(guest)."
        case .leave: "\(guest) leaves room \(room) and wants to check out."
        }
    }

    private var guests: [String: JSONValue] { kind == .leave ? ["\(room)": .string(guest)] : [:] }
    private var left: [String: JSONValue] { kind == .book ? ["\(room)": .string(guest)] : [:] }

    private var answer: JSONValue {
        switch kind {
        case .price: .integer(price)
        case .nights: .integer(price * nights)
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
            let seen = "{'room': \(room), 'price': \(price), 'guest': None}"
            trajectory.append(
                step("I look the room up.", "print(find_room(\(room)))", .success, text: seen))
            let program = kind == .price ? "final_answer(\(price))" : "final_answer(\(price) * \(nights))"
            trajectory.append(step("A night costs \(price).", program, .final(answer)))
        case .book:
            trajectory.append(
                step("I book the room.", "final_answer(book_room(\(room), '\(guest)'))", .final(answer)))
        case .leave:
            trajectory.append(step("I check the guest out.", "final_answer(check_out(\(room)))", .final(answer)))
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
