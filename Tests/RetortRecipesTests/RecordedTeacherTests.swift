import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Testing

@testable import RetortRecipes

@Suite("A recorded teacher's chains of thought", .timeLimit(.minutes(30)))
struct RecordedTeacherTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
    private let task = AgentTask(id: "t1", question: "Where is the Blue Mill?", answers: ["Arden"], family: .factual)

    private func write(_ trajectories: [Trajectory], to name: String) throws {
        let encoder = JSONEncoder()
        let lines = try trajectories.map { String(decoding: try encoder.encode($0), as: UTF8.self) }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: folder.appendingPathComponent(name))
    }

    private func answered(_ thought: String, policy: String) -> Trajectory {
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: policy, model: "annotation"))
        trajectory.append(
            Step(
                thought: thought, action: .answer("Arden"), observation: Observation(text: "", outcome: .final("Arden"))
            ))
        trajectory.end(.answered("Arden"))
        return trajectory
    }

    private func prepare() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(#"{"id": "t1", "question": "Where is the Blue Mill?", "answer": "Arden"}"#.utf8)
            .write(to: folder.appendingPathComponent("train.jsonl"))
        try Data(#"{"id": "t2", "question": "Where is the Red Mill?", "answer": "Borough"}"#.utf8)
            .write(to: folder.appendingPathComponent("test.jsonl"))
        try Data(#"{"id": "p1", "contents": "Blue Mill\nThe Blue Mill stands in Arden."}"#.utf8)
            .write(to: folder.appendingPathComponent("passages.jsonl"))
        try write([answered("An agent's thought.", policy: "agent")], to: "agent.jsonl")
        try write([answered("The mill stands in Arden.", policy: "cot")], to: "cot.jsonl")
    }

    private func taught(_ reasoning: String) async throws -> [String: Trajectory] {
        let recipe = try Recipe(
            yaml: """
                name: recorded
                domain:
                  tasks: {train: train.jsonl, test: {in: test.jsonl}}
                  documents: {path: passages.jsonl, tool: look_up, description: Searches., results: 1}
                  grader: exact
                  form: code
                teacher: {trajectories: agent.jsonl\(reasoning)}
                students: [{name: s, base: nowhere}]
                training: {cot: {epochs: 1}, cot+rag: {epochs: 1}, agent: {epochs: 1}}
                evaluation: {systems: [cot, cot+rag, agent], tasks: 1}
                """, file: folder.appendingPathComponent("r.yaml").path)
        let run = try await RecipeRun(recipe, folder: folder.appendingPathComponent("run"))
        try await run.run(until: .teach)
        let store = try TrajectoryStore(folder.appendingPathComponent("run/trajectories.sqlite"))
        var taught: [String: Trajectory] = [:]
        for style in ["cot", "cot+rag", "agent"] {
            for try await entry in store.trajectories(in: "teach/\(style)") {
                #expect(entry.verdict?.isCorrect == true)
                taught[style] = entry.trajectory
            }
        }
        return taught
    }

    @Test("students without tools learn from them, those with passages behind what the search finds")
    func reasoning() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let taught = try await taught(", reasoning: cot.jsonl")
        #expect(taught["agent"]?.steps.map(\.thought) == ["An agent's thought."])
        #expect(taught["cot"]?.steps.map(\.thought) == ["The mill stands in Arden."])
        let steps = try #require(taught["cot+rag"]?.steps)
        #expect(steps.map(\.thought) == ["", "The mill stands in Arden."])
        #expect(steps[0].speaker == ChainOfThoughtView.retriever)
        #expect(
            steps[0].action
                == .toolCall(name: "look_up", arguments: ["query": .string("Where is the Blue Mill?")]))
        #expect(steps[0].observation.text.contains("The Blue Mill stands in Arden."))
    }

    @Test("without them the trajectories are told as prose")
    func prose() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let taught = try await taught("")
        #expect(taught["cot"]?.steps.map(\.thought) == ["An agent's thought."])
        #expect(taught["cot+rag"]?.steps.count == 2)
    }

    @Test("a file of them that is not there is named before anything is done")
    func missing() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let error = try await #require(throws: (any Error).self) { try await taught(", reasoning: nothing.jsonl") }
        #expect("\(error)".contains("nothing.jsonl"))
    }

    @Test("a trajectory is of the task with its question, whatever its id is")
    func questionsFirst() {
        func task(_ id: String, _ question: String) -> AgentTask {
            AgentTask(id: id, question: question, answers: [], family: .factual)
        }
        func work(_ id: String, _ question: String) -> Trajectory {
            Trajectory(task: task(id, question), provenance: Provenance(policy: "p", model: "m"))
        }
        let known = KnownTasks([task("train-1", "Capital of France?"), task("train-2", "Capital of Japan?")])
        #expect(known.task(of: work("train-1", "Capital of  Japan?"))?.id == "train-2")
        #expect(known.task(of: work("train-1", "Capital of Spain?")) == nil)
        #expect(known.task(of: work("train-1", "Question: Capital of France?\nBe brief."))?.id == "train-1")
        #expect(known.task(of: work("train-2", "Question: Capital of France?")) == nil)
    }

    @Test("a folder of logs teaches as a file does")
    func folderOfLogs() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let logs = folder.appendingPathComponent("logs")
        try FileManager.default.createDirectory(at: logs, withIntermediateDirectories: true)
        try write([answered("From a log.", policy: "cot")], to: "logs/cot.jsonl")
        #expect(try await taught(", reasoning: logs")["cot"]?.steps.map(\.thought) == ["From a log."])
    }

    @Test("a name of 'map' that no trajectory has is an error")
    func strangeNames() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        await #expect(throws: ToolMappingError.absent(names: ["find"])) { try await taught(", map: {find: look_up}") }
    }

    @Test("an imported set without references is graded by the domain's tasks of the same question")
    func importedReferences() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare()
        let file = folder.appendingPathComponent("run/trajectories.sqlite")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        var given = answered("I know.", policy: "teacher")
        given.task = AgentTask(id: "chat-1", question: task.question, answers: [], family: .factual)
        try await TrajectoryStore(file).importing(
            [StoredTrajectory(trajectory: given, verdict: nil)], in: "teach/agent")
        // `taught` expects every trajectory to be right.
        #expect(try await taught("")["agent"]?.task.answers == [])
    }
}
