import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Testing

@Suite("Chats for other trainers")
struct ChatExportTests {
    private var trajectory: Trajectory {
        var task = AgentTask(id: "t", question: "Where?", answers: ["Tirn"], family: .factual)
        task.tools = [ToolDocument(name: "find", function: "Finds.", input: ["name": "string, whom"])]
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "umi", model: "m"))
        trajectory.append(
            Step(
                thought: "I look.", action: .toolCall(name: "find", arguments: ["name": "x"]),
                observation: Observation(text: "nobody", outcome: .success)))
        trajectory.append(
            Step(
                thought: "I compute.", action: .code("print(1)"),
                observation: Observation(text: "1", outcome: .success),
                remarks: ["Try again."]))
        trajectory.append(
            Step(
                thought: "I know.", action: .answer("Tirn"), observation: Observation(text: "", outcome: .final("Tirn"))
            ))
        trajectory.end(.answered("Tirn"))
        return trajectory
    }

    private func line(_ dialect: ChatExport.Dialect) throws -> JSONValue {
        try #require(try ChatExport(dialect).lines(trajectory).get().first)
    }

    @Test("TRL: calls as tool_calls with objects, results as tool, tools as schemas")
    func trl() throws {
        let line = try line(.trl)
        let messages = try #require(line["messages"]?.array)
        #expect(
            messages.map { $0["role"]?.string } == [
                "user", "assistant", "tool", "user", "assistant", "tool", "assistant",
            ])
        #expect(
            messages[1]["tool_calls"] == [
                ["type": "function", "function": ["name": "find", "arguments": ["name": "x"]]]
            ])
        #expect(messages[2] == ["role": "tool", "name": "find", "content": "nobody"])
        #expect(messages[6]["content"] == "I know.\n\nTirn")
        let tools = try #require(line["tools"]?.array)
        #expect(tools.map { $0["function"]?["name"]?.string } == ["find", "python"])
        #expect(
            tools[0]["function"]?["parameters"] == [
                "type": "object", "properties": ["name": ["type": "string", "description": "whom"]],
            ])
    }

    @Test("LLaMA-Factory: turns alternate, the tools are a text")
    func llamaFactory() throws {
        let line = try line(.llamaFactory)
        let turns = try #require(line["conversations"]?.array)
        #expect(
            turns.map { $0["from"]?.string } == [
                "human", "function_call", "observation", "function_call", "observation", "gpt",
            ])
        #expect(turns[2]["value"] == "nobody\n\nTry again.")
        #expect(turns[1]["value"]?.string?.hasSuffix(#"{"arguments":{"name":"x"},"name":"find"}"#) == true)
        let tools = try ExactJSON.value(of: line["tools"]?.string ?? "")
        #expect(tools.array?.first?["name"] == "find")
    }

    @Test("ms-swift: tool_call and tool_response, thoughts before them")
    func msSwift() throws {
        let messages = try #require(try line(.msSwift)["messages"]?.array)
        #expect(
            messages.map { $0["role"]?.string } == [
                "user", "assistant", "tool_call", "tool_response", "user", "assistant", "tool_call", "tool_response",
                "assistant",
            ])
        #expect(messages.allSatisfy { $0["loss"] == nil })
    }

    @Test("a view's examples, with turns that are not to be learned told or left out")
    func views() throws {
        let planner = ChatExport(.trl, .view(RoleView(.planner, instructions: .brief)))
        let lines = try planner.lines(trajectory).get()
        #expect(lines.count == 3)
        #expect(lines[0]["messages"]?.array?.last?["content"] == "I look.\n Next: caller.")

        var forced = Trajectory(
            task: AgentTask(id: "f", question: "?", answers: [], family: .math),
            provenance: Provenance(policy: "agent", model: "m"))
        forced.append(
            Step(thought: "a", action: .code("1"), observation: Observation(text: "1", outcome: .success)))
        forced.append(
            Step(thought: "b", action: .answer(1), observation: Observation(text: "", outcome: .final(1))))
        forced.end(.forced(1))
        let view = CodeAgentView(instructions: .brief, tools: [], forcedAnswers: .trained)
        let trl = try ChatExport(.trl, .view(view)).lines(forced).get()
        #expect(trl[1]["completion"]?.array?.count == 1)
        #expect(trl[1]["prompt"]?.array?.contains { $0["role"] == "assistant" } == true)
        let swift = try ChatExport(.msSwift, .view(view)).lines(forced).get()
        #expect(swift[1]["messages"]?.array?.count { $0["loss"] == false } == 1)
        #expect(throws: ChatExport.Omitted.self) {
            try ChatExport(.llamaFactory, .view(view)).lines(forced).get()
        }
    }

    @Test("a trajectory without an answer is left out and named")
    func omissions() throws {
        let folder = try ScratchFolder()
        var failed = trajectory
        failed = Trajectory(task: failed.task, provenance: failed.provenance, id: "broken")
        failed.end(.failed("e"))
        let omissions = try ChatExport(.trl).write([failed, trajectory], to: folder.file("x.jsonl"))
        #expect(omissions.map(\.id) == ["broken"])
        #expect(try JSONLinesFile(folder.file("x.jsonl")).read(JSONValue.self).records.count == 1)
    }
}
