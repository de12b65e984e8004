import Foundation
import RetortCore
import RetortStore
import Testing

@Suite("FireAct importer")
struct FireActImporterTests {
    private func read(_ output: String) throws -> Trajectory {
        let folder = try ScratchFolder()
        let json = try JSONEncoder().encode([["instruction": "Which?", "input": "", "output": output]])
        let file = try folder.file("fireact.json", String(decoding: json, as: UTF8.self))
        return try #require(try FireActImporter.read(file).first)
    }

    @Test("searches are tool calls, the finish is the answer")
    func steps() throws {
        let trajectory = try read(
            """
            Thought: I search.
            Action: search[Tirn [town]]
            Observation: Tirn is a town.
            It has people.
            Thought: I know.
            Action: finish[Tirn]
            Observation: Episode finished, reward = True

            """)
        #expect(
            trajectory.steps.map(\.action) == [
                .toolCall(name: "search", arguments: ["query": "Tirn [town]"]), .answer("Tirn"),
            ])
        #expect(trajectory.steps.map(\.thought) == ["I search.", "I know."])
        #expect(trajectory.steps[0].observation.text == "Tirn is a town.\nIt has people.")
        #expect(trajectory.toolCallCount == 1)
        #expect(trajectory.ending == .answered("Tirn"))
        #expect(trajectory.task.answers == ["Tirn"])
    }

    @Test("line ends of Windows change nothing")
    func windows() throws {
        let output =
            "Thought: I search.\nAction: search[Tirn]\nObservation: A town.\nIt has people.\nThought: So.\n"
            + "Action: finish[Tirn]\nObservation: Episode finished, reward = True\n"
        let (plain, windows) = (try read(output), try read(output.replacing("\n", with: "\r\n")))
        #expect(plain.steps == windows.steps)
        #expect(windows.ending == .answered("Tirn") && windows.task.answers == ["Tirn"])
    }

    @Test("an answer that was not rewarded is no reference answer")
    func unrewarded() throws {
        let trajectory = try read("Thought: t\nAction: finish[x]\nObservation: Episode finished, reward = False\n")
        #expect(trajectory.answer == "x")
        #expect(trajectory.task.answers.isEmpty)
    }

    @Test("a record without a finish fails and keeps its steps")
    func unfinished() throws {
        let trajectory = try read("Thought: t\nAction: look it up\nObservation: Invalid action\n")
        #expect(trajectory.answer == nil)
        #expect(
            trajectory.steps.map(\.action) == [
                .unparsable(text: "look it up", reason: "it is neither search[…] nor finish[…]")
            ])
        guard case .failed = trajectory.ending else {
            Issue.record("the trajectory did not fail")
            return
        }
    }

    @Test("a file of another kind is told")
    func otherFile() throws {
        let folder = try ScratchFolder()
        let file = try folder.file("x.json", "{}")
        #expect(throws: FireActError.notAList(file: file.path)) { try FireActImporter.read(file) }
    }
}
