import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Testing

@Suite("ToolBench importer")
struct ToolBenchImporterTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func read(_ record: JSONValue) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        try ToolBenchImporter().read(try folder.file("r.json", record.jsonText))
    }

    private func said(_ speaker: String, _ text: String) -> JSONValue {
        ["from": .string(speaker), "value": .string(text)]
    }

    private let tools: JSONValue = [["Name": "find", "function": "Finds.", "input": ["name": "string, "]]]

    @Test("the second stage: a step a decision, the user's words in between as remarks")
    func stage2() throws {
        let record: JSONValue = [
            "tools": tools, "instruction": "Who?",
            "conversations": [
                said("user", "Who?"), said("assistant", "I look.\n Next: caller."),
                said("caller", "Action: find\nAction Input: { \"name\": 2.0}"), said("observation", "x"),
                said("user", "Differently."), said("assistant", "I know.\n Next: conclusion."),
                said("conclusion", "x."),
            ],
        ]
        let (trajectories, account) = try read([record])
        let trajectory = try #require(trajectories.first)
        #expect(account == ImportAccount(all: 1))
        #expect(trajectory.steps.map(\.speaker) == ["planner", "planner"])
        #expect(trajectory.steps.map(\.action) == [.toolCall(name: "find", arguments: ["name": 2.0]), .answer("x.")])
        #expect(trajectory.steps[0].wording == "Action: find\nAction Input: { \"name\": 2.0}")
        #expect(trajectory.steps[1].remarks == ["Differently."])
        #expect(trajectory.task.tools.map(\.name) == ["find"])
        #expect(trajectory.ending == .answered("x."))
    }

    @Test("the first stage and answer files: function calls, errors told apart, Finish in any state")
    func stage1() throws {
        func chat(_ finish: String) -> [JSONValue] {
            [
                ["role": "system", "content": "prompt"], ["role": "user", "content": "\nWho?\nBegin!\n"],
                ["role": "assistant", "content": "Let me see."],
                [
                    "role": "assistant", "content": "I look.",
                    "function_call": ["name": "find", "arguments": "{\"name\": 1}"],
                ],
                ["role": "function", "name": "find", "content": "{\"error\": \"503\", \"response\": \"\"}"],
                [
                    "role": "assistant", "content": .null,
                    "function_call": ["name": "Finish", "arguments": .string(finish)],
                ],
            ]
        }
        let endings: [(String, Ending)] = [
            (#"{"return_type": "give_answer", "final_answer": "x"}"#, .answered("x")),
            (#"{"return_type": "give_answer"}"#, .answered("none")),
            (#"{"return_type": "give_up_and_restart"}"#, .gaveUp("")),
            (#"{"return_type": "give_answer", "final_answer": "cut"#, .answered("cut")),
            ("give_up_and_restart", .gaveUp("")),
        ]
        for (finish, ending) in endings {
            let stage1: JSONValue = ["tools": tools, "instruction": "Who?", "chains": .array(chat(finish))]
            let schema: JSONValue = ["type": "object", "properties": ["name": ["type": "string", "description": ""]]]
            let function: JSONValue = ["name": "find", "description": "Finds.", "parameters": schema]
            let answer: JSONValue = [
                "answer_generation": [
                    "query": "Who?", "function": [function, ["name": "Finish"]],
                    "train_messages": [[], .array(chat(finish))],
                ]
            ]
            let (fromStage, account) = try read([stage1])
            let (fromAnswer, _) = try read(answer)
            let trajectory = try #require(fromStage.first)
            #expect(trajectory.ending == ending)
            #expect(trajectory.steps[0].observation.outcome == .executionError(type: "APIError", message: "503"))
            #expect(account.repairs.count == 1)
            #expect(fromAnswer.first?.steps == trajectory.steps)
            #expect(fromAnswer.first?.id == trajectory.id)
            #expect(fromAnswer.first?.task.tools.first?.schema == schema)
            #expect(fromAnswer.first?.task.tools.first?.input == trajectory.task.tools.first?.input)
        }
    }

    @Test(
        "spoilt records are left out by name, and the rest is read",
        arguments: [
            ([:], "neither conversations"), (["conversations": []], "no instruction"),
            (["instruction": "a", "conversations": []], "nobody but the user"),
            (["instruction": "a", "conversations": [["from": "caller", "value": "x"]]], "without the decision"),
            (["instruction": "a", "conversations": [["from": "nobody", "value": "x"]]], "unknown speaker"),
            (["instruction": "a", "chains": []], "no messages"),
        ] as [(JSONValue, String)])
    func rejections(record: JSONValue, reason: String) throws {
        let sound: JSONValue = [
            "tools": [], "instruction": "b", "conversations": [said("assistant", "No.\n Next: give up.")],
        ]
        let (trajectories, account) = try read([record, sound])
        #expect(trajectories.count == 1)
        #expect(account.rejections.map(\.record) == [1])
        #expect(account.rejections.first?.reason.contains(reason) == true)
    }
}
