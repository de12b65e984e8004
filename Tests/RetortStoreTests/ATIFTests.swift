import Foundation
import RetortCore
import RetortStore
import Testing

@Suite("ATIF")
struct ATIFTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    @Test("Retort's own trajectories come back as they were, whatever is in them", arguments: 0..<8)
    func trips(seed: UInt64) throws {
        var maker = TrajectoryMaker(seed: seed)
        let trajectories = (0..<40).map { maker.trajectory($0) }
        let file = folder.file("a.jsonl")
        try ATIFExporter.write(trajectories, to: file)
        let (read, account) = try ATIFImporter().read(file)
        #expect(account.rejections.isEmpty)
        #expect(read == trajectories)
    }

    @Test("a document has the format's own fields, steps numbered from 1")
    func document() throws {
        var trajectory = Trajectory(
            task: AgentTask(id: "t", question: "Where?", answers: ["Tirn"], family: .factual),
            provenance: Provenance(policy: "agent", model: "m"))
        trajectory.append(
            Step(
                thought: "I search.", action: .toolCall(name: "search", arguments: ["query": "Tirn"]),
                observation: Observation(text: "A town.", outcome: .success),
                transcript: .tokens(TokenIDs(prompt: [1], completion: [2, 3]))))
        trajectory.append(
            Step(
                thought: "I know.", action: .answer("Tirn"), observation: Observation(text: "", outcome: .final("Tirn"))
            ))
        trajectory.end(.answered("Tirn"))
        let document = try ATIFExporter.document(trajectory)
        let steps = try #require(document["steps"]?.array)
        #expect(steps.map { $0["step_id"] } == [1, 2, 3])
        #expect(steps.map { $0["source"]?.string } == ["user", "agent", "agent"])
        #expect(steps[1]["tool_calls"]?.array?[0]["arguments"] == ["query": "Tirn"])
        #expect(steps[1]["observation"]?["results"] == [["source_call_id": "call_1", "content": "A town."]])
        #expect(steps[1]["metrics"]?["completion_token_ids"] == [2, 3])
        #expect(steps[2]["message"] == "Tirn")
        #expect(steps[2]["reasoning_content"] == "I know.")
    }

    private func read(_ document: String) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        try ATIFImporter().read(try folder.file("other.json", document))
    }

    @Test("a document of others: calls become steps, the last words the answer, later words of the user remarks")
    func foreign() throws {
        let (trajectories, account) = try read(
            """
            {"schema_version": "ATIF-v1.4", "session_id": "s", "agent": {"name": "a", "version": "1", "model_name": "m"},
             "steps": [
              {"step_id": 1, "source": "system", "message": "Be brief."},
              {"step_id": 2, "source": "user", "message": "Where?"},
              {"step_id": 3, "source": "agent", "message": "I look.", "reasoning_content": "Hm.",
               "tool_calls": [{"tool_call_id": "1", "function_name": "find", "arguments": {"x": 2.0}},
                              {"tool_call_id": "2", "function_name": "python", "arguments": {"code": "1"}}],
               "observation": {"results": [{"source_call_id": "2", "content": "one"}, {"source_call_id": "1", "content": "f"}]},
               "metrics": {"prompt_tokens": 9, "completion_tokens": 2}},
              {"step_id": 4, "source": "agent", "message": "Then."},
              {"step_id": 5, "source": "user", "message": "Go on."},
              {"step_id": 6, "source": "agent", "message": "Tirn", "reasoning_content": "So."}]}
            """)
        let trajectory = try #require(trajectories.first)
        #expect(
            trajectory.steps.map(\.action) == [
                .toolCall(name: "find", arguments: ["x": 2.0]), .code("1"), .answer("Tirn"),
            ])
        #expect(trajectory.steps.map(\.thought) == ["Hm.\nI look.", "", "Then.\nSo."])
        #expect(trajectory.steps.map(\.observation.text) == ["f", "one", ""])
        #expect(trajectory.steps.map(\.remarks) == [nil, nil, ["Go on."]])
        #expect(trajectory.usage.promptTokens == 9)
        #expect(trajectory.answer == "Tirn")
        #expect(trajectory.task.metadata["system"] == "Be brief.")
        #expect(account.repairs.count == 1)
    }

    @Test("counts of tokens beyond reason end no import", arguments: [Int.max, .min])
    func counts(count: Int) throws {
        let metrics = #""metrics": {"prompt_tokens": \#(count), "completion_tokens": \#(count)}"#
        let (trajectories, _) = try read(
            """
            {"schema_version": "ATIF-v1.4", "session_id": "s", "agent": {"name": "a", "version": "1", "model_name": "m"},
             "steps": [
              {"step_id": 1, "source": "user", "message": "Where?"},
              {"step_id": 2, "source": "agent", "message": "I look.", \(metrics),
               "tool_calls": [{"tool_call_id": "1", "function_name": "find", "arguments": {}}],
               "observation": {"results": [{"source_call_id": "1", "content": "f"}]}},
              {"step_id": 3, "source": "agent", "message": "Tirn", \(metrics)}]}
            """)
        let usage = try #require(trajectories.first).usage
        #expect(usage.promptTokens >= 0 && usage.promptTokens + usage.completionTokens <= 1 << 45)
    }

    @Test(
        "what cannot be read is left out with the reason",
        arguments: [
            ("{}", "no ATIF schema_version"), (#"{"schema_version": "ATIF-v1.4", "steps": []}"#, "no steps"),
            (
                #"{"schema_version": "ATIF-v1.4", "steps": [{"source": "agent", "message": "a"}]}"#,
                "no step is the user's"
            ),
            (
                #"{"schema_version": "ATIF-v1.6", "steps": [{"source": "user", "message": [{"type": "image"}]}]}"#,
                "other than text"
            ),
        ])
    func rejections(document: String, reason: String) throws {
        let (trajectories, account) = try read(document)
        #expect(trajectories.isEmpty)
        #expect(account.rejections.first?.reason.contains(reason) == true)
    }

    private func steps(_ steps: String, version: String = "ATIF-v1.4") throws -> (Trajectory?, ImportAccount) {
        let (trajectories, account) = try read(
            #"{"schema_version":"\#(version)","session_id":"s","agent":{"name":"x"},"steps":[{"source":"user","message":"Q"},\#(steps)]}"#
        )
        return (trajectories.first, account)
    }

    private static let call = #"{"tool_call_id":"a","function_name":"w","arguments":"{\"c\":1}"}"#

    @Test("arguments that are a text are read, and a call without a result is told")
    func argumentTexts() throws {
        let (trajectory, account) = try steps(
            #"{"source":"agent","message":"","tool_calls":[\#(Self.call)]},{"source":"agent","message":"fin"}"#)
        #expect(trajectory?.steps.first?.action == .toolCall(name: "w", arguments: ["c": 1]))
        #expect(trajectory?.steps.first?.observation.outcome.isFailure == true)
        #expect(account.repairs["calls without a result"] == [1])
    }

    @Test("what the last user says, and names that no step has, are told")
    func told() throws {
        let (trajectory, account) = try steps(
            #"{"source":"agent","message":"fin","bogus":1},{"source":"user","message":"thanks"}"#)
        #expect(trajectory?.answer == "fin")
        #expect(
            account.unread.keys.sorted() == ["'bogus' of a step", "what the user said after the model's last turn"])
    }

    @Test("an agent that says nothing gives no answer")
    func silentAgent() throws {
        let (trajectory, _) = try steps(#"{"source":"agent"}"#)
        #expect(trajectory?.answer == nil)
        #expect(trajectory?.ending == .gaveUp("the document ends without an answer"))
    }

    @Test(
        "what a trajectory cannot hold leaves the document out",
        arguments: [
            (#"{"source":"environment","message":"m"},{"source":"agent","message":"a"}"#, "'environment'"),
            (#"{"source":"agent","message":"","tool_calls":[{"tool_call_id":"a","arguments":{}}]}"#, "no name"),
            (
                #"{"source":"agent","message":"","tool_calls":[CALL],"observation":{"results":[{"source_call_id":"z","content":"r"}]}}"#,
                "belongs to no call"
            ),
            (
                #"{"source":"agent","message":"","tool_calls":[CALL],"observation":{"results":[{"source_call_id":"a","content":[{"type":"image","source":{}}]}]}}"#,
                "'image'"
            ),
            (
                #"{"source":"agent","message":"","tool_calls":[CALL],"observation":{"results":[{"source_call_id":"a","subagent_trajectory_ref":[{"session_id":"z"}]}]}}"#,
                "subagent"
            ),
        ])
    func losses(text: String, reason: String) throws {
        let (trajectory, account) = try steps(text.replacing("CALL", with: Self.call))
        #expect(trajectory == nil)
        #expect(account.rejections.first?.reason.contains(reason) == true, "\(account.rejections)")
    }

    @Test("a later version is refused by its number")
    func version() throws {
        let (_, account) = try steps(#"{"source":"agent","message":"a"}"#, version: "ATIF-v2.0")
        #expect(account.rejections.first?.reason.contains("'ATIF-v2.0'") == true)
    }
}
