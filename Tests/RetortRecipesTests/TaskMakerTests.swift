import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortStore
import Synchronization
import Testing

@testable import RetortRecipes

@Suite("Tasks made from tools", .timeLimit(.minutes(30)))
struct TaskMakerTests {
    /// What the scripted teacher asks, in turn.
    private static let proposals = [
        ("Which guest has room 11 of the hotel?", "Guest 11"),
        ("which guest has room 11 of the hotel", "Guest 11"),
        ("Which guest has room 13 of the hotel?", "Guest 13"),
        ("Which guest has room 15 of the hotel?", "Somebody else"),
        ("Guest 17 or what?", "Guest 17"),
        ("no", "Guest 18"),
        ("What is the capital of the hotel's country?", "Rome"),
        ("Which guest has room 19 of the hotel?", "Guest 19"),
    ]

    /// Asks as it is told, looks up rooms, and knows one capital by heart.
    private final class Teacher: LanguageModel {
        let identity = "scripted"
        let requests = Mutex(0)
        /// Which of the proposals is next.
        let next: Mutex<Int>

        init(next: Int = 0) { self.next = Mutex(next) }

        func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
            requests.withLock { $0 += 1 }
            let reply = reply(to: request.messages)
            return AsyncThrowingStream { continuation in
                let usage = Usage(promptTokens: 10, completionTokens: 2)
                continuation.yield(
                    .finished(sample: 0, Completion(text: reply, finish: .endOfTurn, usage: usage)))
                continuation.finish()
            }
        }

        private func reply(to messages: [Message]) -> String {
            func program(_ text: String) -> String { "I go on.\n\nCode:\n```py\n\(text)\n```<end_code>" }
            let asked = messages.first { $0.role == .user }?.text ?? ""
            if asked.contains("Make a question") {
                let place = next.withLock { place in
                    defer { place += 1 }
                    return place
                }
                let (question, answer) = proposals[place % proposals.count]
                return program("final_answer(\"Question: \(question)\\nAnswer: \(answer)\")")
            }
            if asked.contains("capital") { return program("final_answer('Rome')") }
            let room = asked.split { !$0.isNumber }.first ?? "0"
            return program("final_answer(guest(\(room)))")
        }
    }

    private func writeDomain(_ bench: AgentBench, grader: String = "exact") throws -> URL {
        try bench.write(
            "hotel/domain.yaml",
            """
            name: hotel
            tasks: {test: {in: test.jsonl}}
            tools: [{python: hotel.py}]
            grader: \(grader)
            """)
        try bench.write(
            "hotel/hotel.py",
            """
            def guest(room: int) -> str:
                \"\"\"Tells who has a room.

                Args:
                    room: its number
                \"\"\"
                return f"Guest {room}"

            def grade(task, answer, state): return True
            """)
        try bench.write(
            "hotel/test.jsonl",
            #"{"id": "t", "question": "Which guest has room 13 of the hotel?", "answer": "Guest 13"}"# + "\n")
        return bench.url.appendingPathComponent("hotel")
    }

    private func maker(_ domain: URL, _ bench: AgentBench, _ teacher: any LanguageModel, tasks: Int = 9) async throws
        -> (TaskMaker, Agent)
    {
        let opened = try await FolderDomain(
            DomainPlan(domain), keepingIndexIn: bench.url.appendingPathComponent("index"))
        let agent = try Agent(
            prompting: teacher, in: opened, as: .code(.brief), limits: .init(steps: 3, tokens: 100))
        var plan = TaskMaker.Plan()
        (plan.tasks, plan.tries, plan.solutions, plan.agreeing) = (tasks, Self.proposals.count, 3, 2)
        return (try TaskMaker(agent, plan), agent)
    }

    @Test("kept are questions whose answer comes out again and was looked up; the others are named by what they lack")
    func outcomes() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let domain = try writeDomain(bench)
        let out = bench.url.appendingPathComponent("made.jsonl")
        let taught = bench.url.appendingPathComponent("taught.jsonl")
        let (maker, agent) = try await maker(domain, bench, Teacher())
        let tally = try await maker.make(into: out, trajectories: taught, concurrency: 1)
        await agent.close()
        #expect(
            tally.outcomes == [.kept: 2, .repeated: 1, .tested: 1, .disagreed: 1, .unfit: 2, .unseen: 1])
        #expect(tally.tasks == 2 && tally.ending == "8 questions were tried" && tally.usage.promptTokens > 0)
        // They are a file of tasks, and their solutions a teacher's trajectories.
        try bench.write(
            "hotel/domain.yaml",
            """
            name: hotel
            tasks: {train: ../made.jsonl, test: {in: test.jsonl}}
            tools: [{python: hotel.py}]
            """)
        let read = try await FolderDomain(DomainPlan(domain), keepingIndexIn: bench.url.appendingPathComponent("index"))
        #expect(read.train.map(\.answers) == [["Guest 11"], ["Guest 19"]])
        await read.close()
        let solutions = try String(contentsOf: taught, encoding: .utf8).split(separator: "\n")
            .map { try JSONCoding.decoder.decode(Trajectory.self, from: Data($0.utf8)) }
        #expect(solutions.count == 6 && Set(solutions.map(\.id)).count == 6)
        #expect(solutions.allSatisfy { $0.answer == $0.task.answers.first })
    }

    @Test("a making that was stopped goes on, and pays for nothing twice")
    func resumed() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let domain = try writeDomain(bench)
        let out = bench.url.appendingPathComponent("made.jsonl")
        let (first, agent) = try await maker(domain, bench, Teacher(), tasks: 1)
        #expect(try await first.make(into: out, trajectories: nil, concurrency: 1).ending == nil)
        await agent.close()
        let log = out.appendingPathExtension("log")
        // Killed while it wrote of the second try.
        let line = try #require(try String(contentsOf: log, encoding: .utf8).split(separator: "\n").last)
        try (Data(contentsOf: log) + Data(line.utf8.prefix(line.utf8.count / 2))).write(to: log)
        let teacher = Teacher(next: 1)
        let (second, other) = try await maker(domain, bench, teacher)
        let tally = try await second.make(into: out, trajectories: nil, concurrency: 1)
        #expect(tally.tasks == 2 && tally.outcomes.values.reduce(0, +) == 8)
        let asked = teacher.requests.withLock { $0 }
        #expect(try await second.make(into: out, trajectories: nil, concurrency: 1).tasks == 2)
        #expect(teacher.requests.withLock { $0 } == asked)
        await other.close()
        // A log of other settings is not gone on with.
        var plan = TaskMaker.Plan()
        plan.solutions = 2
        await #expect(throws: TaskMakerError.self) {
            try await TaskMaker(other, plan).make(into: out, trajectories: nil, concurrency: 1)
        }
    }

    @Test("values keep their types in the log and in the file of trajectories")
    func exactValues() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let task = AgentTask(id: "t", question: "How many?", answers: ["2"], family: .math)
        var solution = Trajectory(task: task, provenance: Provenance(policy: "p", model: "m"))
        let call = ToolCall(name: "count", arguments: ["x": 2.0, "y": 2], result: .number(.infinity))
        solution.append(
            Step(
                thought: "", action: .code("final_answer(2.0)"),
                observation: Observation(text: "", outcome: .final(2.0), toolCalls: [call])))
        solution.end(.answered(2.0))
        var made = MadeTask(number: 0, usage: Usage())
        (made.question, made.answer, made.outcome, made.solutions) = ("How many?", "2", .kept, [solution])
        let file = bench.url.appendingPathComponent("made.jsonl.log")
        try MakingLog(file, header: "h").append(made)
        let log = try MakingLog(file, header: "h")
        #expect(log.made.map(\.solutions) == [[solution]])
        let out = bench.url.appendingPathComponent("taught.jsonl")
        try log.write(tasks: 1, to: bench.url.appendingPathComponent("made.jsonl"), trajectories: out)
        var read: [Trajectory] = []
        try JSONLinesFile(out).forEach(Trajectory.self) { trajectory, _ in read.append(trajectory) }
        #expect(read == [solution])
    }

    @Test("a budget that is spent ends it in good order, with what was made")
    func budget() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let domain = try writeDomain(bench)
        let out = bench.url.appendingPathComponent("made.jsonl")
        let paid = BudgetedModel(Teacher(), try Budget(tokens: 60, model: "scripted"))
        let (maker, agent) = try await maker(domain, bench, paid)
        let tally = try await maker.make(into: out, trajectories: nil, concurrency: 1)
        await agent.close()
        #expect(tally.tasks == 1 && tally.ending?.contains("budget") == true, "\(tally)")
        #expect(try String(contentsOf: out, encoding: .utf8).contains("Guest 11"))
    }

    @Test("a domain that is not graded by answers is refused by name")
    func refused() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        let domain = try writeDomain(bench, grader: "python")
        await #expect(throws: TaskMakerError.self) { _ = try await maker(domain, bench, Teacher()) }
    }

    @Test(
        "questions are read in the forms that models write",
        arguments: [
            "Question: Who is it?\nAnswer: Rosa", "**Question:** Who is it?\n**Answer:** Rosa",
            "question: Who is it? answer: Rosa",
            "Question: Who is it?\\nAnswer: Rosa", #"{"question": "Who is it?", "answer": "Rosa"}"#,
            "Here it is.\nQUESTION:\nWho is it?\n\nANSWER:\nRosa\n", "Question: Who is it?\nAnswer: Rosa\n\nI am done.",
            "final_answer(\"Question: Who is it?\\nAnswer: Rosa\")",
        ])
    func reading(text: String) throws {
        let found = try #require(QuestionWish.read(text))
        #expect(found.question == "Who is it?" && found.answer == "Rosa")
    }

    @Test("a question that was written without a program around it is read, too")
    func unparsable() {
        var run = Trajectory(
            task: AgentTask(id: "a", question: "?", answers: [], family: .factual),
            provenance: Provenance(policy: "p", model: "m"))
        let looked = Observation(text: "Rosa", outcome: .success)
        run.append(Step(thought: "I look.", action: .code("print(guest(1))"), observation: looked))
        run.append(
            Step(
                thought: "", action: .unparsable(text: "Question: Who is it?\nAnswer: Rosa", reason: "no program"),
                observation: Observation(text: "no program", outcome: .parseError("no program"))))
        run.append(Step(thought: "", action: .code("print(guest(1))"), observation: looked))
        run.end(.forced("…"))
        #expect(QuestionWish.read(run).map { [$0.question, $0.answer] } == ["Who is it?", "Rosa"])
    }

    @Test(
        "answers that nothing showed are told from those that were looked up or computed",
        arguments: [
            ("print(guest(1))", "Guest 1", "final_answer('Guest 1')", true),
            ("print(guest(1))", "Guest 1", "final_answer('Guest 2')", false),
            ("x = 1", "", "final_answer('Rome')", false), ("x = 3", "", "final_answer(x * 4)", true),
            ("x = 3", "", "final_answer('12')", false),
            ("print(guest(1))", "Guest 1", "y = 'Rome'\nfinal_answer(y)", false),
            ("x = 3", "", "y = 12\nfinal_answer(12)", false),
        ])
    func evidence(program: String, shown: String, last: String, isSeen: Bool) {
        let answer =
            last.contains("x * 4") || last.contains("12")
            ? "12" : last.contains("Rome") ? "Rome" : String(last.dropFirst(14).dropLast(2))
        var trajectory = Trajectory(
            task: AgentTask(id: "a", question: "?", answers: [answer], family: .factual),
            provenance: Provenance(policy: "p", model: "m"))
        trajectory.append(
            Step(
                thought: "", action: .code(program),
                observation: Observation(
                    text: shown, outcome: .success,
                    toolCalls: shown.isEmpty ? [] : [ToolCall(name: "guest", arguments: ["room": 1])])))
        trajectory.append(
            Step(thought: "", action: .code(last), observation: Observation(text: "", outcome: .final(.string(answer))))
        )
        trajectory.end(.answered(.string(answer)))
        #expect(Evidence.isIn(trajectory) == isSeen)
    }
}
