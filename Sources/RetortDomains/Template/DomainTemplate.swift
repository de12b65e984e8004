import Foundation
import RetortCore

/// A small domain that works at once: what `retort new` writes.
///
/// It is a hotel's front desk. The rooms, and what becomes of a guest's wish, follow a rule, so that tasks, reference
/// answers and the teacher's trajectories agree with each other.
public struct DomainTemplate: Sendable {
    /// The model that its recipe trains.
    public enum Student: Sendable, Hashable {
        /// A Seedling in a folder, which learns with all of its weights; a second recipe trains SmolLM2-135M.
        case seedling(folder: String)
        /// A pretrained model, which learns by LoRA: a folder, a GGUF file, or a name that recipes know.
        case pretrained(base: String)
    }

    private let name: String
    private let student: Student

    /// - Parameters:
    ///   - name: the domain's name.
    ///   - student: the model that its recipe trains.
    public init(name: String, student: Student) {
        self.name = name
        self.student = student
    }

    /// Writes the folder.
    /// - Throws: `DomainError.exists` when something exists there already.
    public func write(to folder: URL) throws {
        guard !FileManager.default.fileExists(atPath: folder.path) else { throw DomainError.exists(folder.path) }
        let wishes = HotelWish.all
        let train = wishes.filter { !$0.isTest }
        let test = wishes.filter(\.isTest)
        let files =
            try recipes + [
                ("domain.yaml", domain), ("tools.py", Self.tools), ("README.md", readme),
                ("documents/rules.md", Self.rules),
                ("tasks/train.jsonl", Self.lines(train.map(\.record))),
                ("tasks/test.jsonl", Self.lines(test.map(\.record))),
                ("trajectories.jsonl", Self.lines(train.map(\.trajectory))),
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
        name: \(Self.scalar(name))
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

    /// Files and their texts.
    private var recipes: [(String, String)] {
        switch student {
        case .seedling(let folder):
            [
                ("recipe.yaml", Self.seedlingRecipe(name, folder)),
                ("recipe-smollm2.yaml", Self.pretrainedRecipe("\(name)-smollm2", "smollm2-135m")),
            ]
        case .pretrained(let base): [("recipe.yaml", Self.pretrainedRecipe(name, base))]
        }
    }

    private static func seedlingRecipe(_ name: String, _ folder: String) -> String {
        """
        # The teacher's trajectories become an agent; the same work told in prose becomes what it is measured against.
        name: \(scalar(name))
        domain: .
        teacher: {trajectories: trajectories.jsonl, format: trajectories}
        students:
          - {name: \(scalar(studentName(folder))), base: \(scalar(folder))}
        training:
          cot: &plan {epochs: 4, learningRate: 1.5e-3, beta2: 0.95, schedule: cosine, warmup: 0.1, rowTokens: 2048, maxTokens: 1024}
          agent: *plan
        evaluation: {systems: [cot, agent], tasks: 240, maxSteps: 4, maxTokens: 200}

        """
    }

    private static func pretrainedRecipe(_ name: String, _ base: String) -> String {
        """
        # The teacher's trajectories become an agent; the same work told in prose becomes what it is measured against. The pretrained student
        # keeps what it knows of language and learns by LoRA, with rank and rate by its size. SmolLM2-135M takes about half an hour on two
        # cores; 'retort models' lists what else is there.
        name: \(scalar(name))
        domain: .
        teacher: {trajectories: trajectories.jsonl, format: trajectories}
        students:
          - {name: \(scalar(studentName(base))), base: \(scalar(base))}
        training:
          cot: &plan {epochs: 1, schedule: cosine, warmup: 0.05, rowTokens: 2048, maxTokens: 1024, lora: {}}
          agent: *plan
        evaluation: {systems: [cot, agent], tasks: 120, maxSteps: 4, maxTokens: 200}

        """
    }

    /// The last part of a base's name or path, in small letters, with what a folder's name may hold.
    private static func studentName(_ base: String) -> String {
        let last = base.split(separator: "/").last.map { $0.split(separator: "@")[0].lowercased() } ?? ""
        let stem = last.hasSuffix(".gguf") ? String(last.dropLast(5)) : last
        let name = stem.filter { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }.drop { $0 == "." }
        return name.isEmpty ? "student" : String(name)
    }

    /// A text as YAML's scalar, in quotes where it might be read as something else.
    private static func scalar(_ text: String) -> String {
        let isPlain = text.wholeMatch(of: /[A-Za-z\/][A-Za-z0-9_.\/-]{2,}/) != nil
        let isWord = ["true", "false", "null", "yes", "off"].contains(text.lowercased())
        return isPlain && !isWord ? text : "'" + text.replacing("'", with: "''") + "'"
    }

    private var readme: String {
        """
        # \(name)

        A domain for Retort: a hotel's front desk, made up, to be changed into your own.

            retort check \(name)              # is everything there, and does it fit?
            retort run \(name)/recipe.yaml    # teach, train, measure, report
            retort ask runs/\(name) "Please book room 321 for Rosa."

        \(students)

        `tools.py` holds the functions that agents call. Their state lives in the agent's session and forks with it: what a
        candidate or a branch does happens to nobody else. `setup(task)` makes a task's state, `state()` tells what is left,
        `grade(task, answer, state)` judges.

        """
    }

    private var students: String {
        switch student {
        case .seedling:
            "`recipe.yaml` trains a Seedling of eight million parameters in minutes, `recipe-smollm2.yaml` a pretrained SmolLM2-135M."
        case .pretrained(let base): "`recipe.yaml` trains \(base) by LoRA."
        }
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
