import Foundation
import RetortCore

/// A small domain that works at once: what `retort new` writes.
///
/// It is a hotel's front desk. The rooms, and what becomes of a guest's wish, follow a rule, so that tasks, reference
/// answers and the teacher's trajectories agree with each other.
public struct DomainTemplate: Sendable {
    private let name: String
    private let base: String

    /// - Parameters:
    ///   - name: the domain's name.
    ///   - base: the folder of the model that its recipe trains.
    public init(name: String, base: String) {
        self.name = name
        self.base = base
    }

    /// Writes the folder.
    /// - Throws: `DomainError.exists` when something exists there already.
    public func write(to folder: URL) throws {
        guard !FileManager.default.fileExists(atPath: folder.path) else { throw DomainError.exists(folder.path) }
        let wishes = HotelWish.all
        let train = wishes.filter { !$0.isTest }
        let test = wishes.filter(\.isTest)
        let files = [
            ("domain.yaml", domain), ("recipe.yaml", recipe), ("recipe-smollm2.yaml", pretrainedRecipe),
            ("tools.py", Self.tools), ("README.md", readme),
            ("documents/rules.md", Self.rules),
            ("tasks/train.jsonl", try Self.lines(train.map(\.record))),
            ("tasks/test.jsonl", try Self.lines(test.map(\.record))),
            ("trajectories.jsonl", try Self.lines(train.map(\.trajectory))),
        ]
        for (path, text) in files {
            let file = folder.appendingPathComponent(path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try AtomicFile.write(Data(text.utf8), to: file)
        }
    }

    private static func lines(_ records: [some Encodable]) throws -> String {
        try records.map { String(decoding: try ExactJSON.encode($0), as: UTF8.self) + "\n" }.joined()
    }

    private var domain: String {
        """
        # What is learned: tasks, tools, documents, and how a run is graded. Every key is in docs/domains.md.
        name: \(name)
        instructions: You are at the front desk of a small hotel. Do what the guest asks, with the functions that are there.
        tasks:
          train: tasks/train.jsonl
          test: {in: tasks/test.jsonl}
        tools:
          - python: tools.py          # its public functions, inside the agent's own session
        documents: {path: documents, tool: search_rules, description: Searches the rules of the house., results: 1}
        grader: python                # grade() in tools.py: by the answer, and by the state that is left

        """
    }

    private var recipe: String {
        """
        # The teacher's trajectories become an agent; the same work told in prose becomes what it is measured against.
        name: \(name)
        domain: .
        teacher: {trajectories: trajectories.jsonl, format: trajectories}
        students:
          - {name: 8m, base: \(base)}
        training:
          cot: &plan {epochs: 4, learningRate: 1.5e-3, beta2: 0.95, schedule: cosine, warmup: 0.1, rowTokens: 2048, maxTokens: 1024}
          agent: *plan
        evaluation: {systems: [cot, agent], tasks: 240, maxSteps: 4, maxTokens: 200}

        """
    }

    private var pretrainedRecipe: String {
        """
        # The same with a pretrained student, which keeps what it knows of language: 'retort fetch smollm2-135m' brings it. About half an hour
        # on two cores.
        name: \(name)-smollm2
        domain: .
        teacher: {trajectories: trajectories.jsonl, format: trajectories}
        students:
          - {name: smollm2-135m, base: smollm2-135m}
        training:
          cot: &plan {epochs: 1, schedule: cosine, warmup: 0.05, rowTokens: 2048, maxTokens: 1024, lora: {}}
          agent: *plan
        evaluation: {systems: [cot, agent], tasks: 120, maxSteps: 4, maxTokens: 200}

        """
    }

    private var readme: String {
        """
        # \(name)

        A domain for Retort: a hotel's front desk, made up, to be changed into your own.

            retort check \(name)              # is everything there, and does it fit?
            retort run \(name)/recipe.yaml    # teach, train, measure, report
            retort ask runs/\(name) "Please book room 321 for Rosa."

        `recipe.yaml` trains a Seedling of eight million parameters in minutes, `recipe-smollm2.yaml` a pretrained SmolLM2-135M.

        `tools.py` holds the functions that agents call. Their state lives in the agent's session and forks with it: what a
        candidate or a branch does happens to nobody else. `setup(task)` makes a task's state, `state()` tells what is left,
        `grade(task, answer, state)` judges.

        """
    }

    private static let tools = """
        \"\"\"The front desk of a small hotel.\"\"\"

        PRICES = {room: 60 + room * 7 % 31 * 5 for room in range(101, 1000)}
        GUESTS: dict[int, str] = {}


        def find_room(room: int) -> dict:
            \"\"\"Tells the price of a room for a night, and who has it.

            Args:
                room: the room's number
            \"\"\"
            if room not in PRICES:
                raise LookupError(f"there is no room {room}")
            return {"room": room, "price": PRICES[room], "guest": GUESTS.get(room)}


        def book_room(room: int, guest: str) -> str:
            \"\"\"Books a free room for a guest.

            Args:
                room: the room's number
                guest: the guest's name
            \"\"\"
            if find_room(room)["guest"]:
                raise ValueError(f"room {room} is taken")
            GUESTS[room] = guest
            return f"room {room} is booked for {guest}"


        def check_out(room: int) -> str:
            \"\"\"Lets a room's guest go.

            Args:
                room: the room's number
            \"\"\"
            guest = GUESTS.pop(room, None)
            if guest is None:
                raise ValueError(f"room {room} has no guest")
            return f"{guest} has left room {room}"


        # What follows is no tool: Retort calls it.


        def setup(task: dict) -> None:
            \"\"\"Makes a task's state: who is in the house when it begins.\"\"\"
            GUESTS.update({int(room): guest for room, guest in task.get("guests", {}).items()})


        def state() -> dict:
            \"\"\"What is left when the agent has ended.\"\"\"
            return {str(room): guest for room, guest in sorted(GUESTS.items())}


        def grade(task: dict, answer, state) -> tuple[bool, str]:
            \"\"\"Judges by what was answered and what is left.\"\"\"
            if state is not None and state != task["left"]:
                return False, f"the house should hold {task['left']}, and holds {state}"
            if state is None and task["left"] != task.get("guests", {}):
                return False, "nothing was done"
            wanted = str(task["answer"])
            return str(answer) == wanted, f"the answer should be {wanted}"

        """

    private static let rules = """
        # Rules of the house

        ## Breakfast

        Breakfast is served from 7 to 10.

        ## Checking out

        Rooms are free until 11 on the day of departure.

        ## Pets

        Small dogs are welcome and cost 12 a night.

        """
}
