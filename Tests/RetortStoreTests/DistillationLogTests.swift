import Foundation
import RetortCore
import RetortStore
import Testing

/// Records as agent-distillation's runner writes them, sound and spoilt.
private enum Log {
    static func text(_ role: String, _ text: String) -> JSONValue {
        ["role": .string(role), "content": [["type": "text", "text": .string(text)]]]
    }

    static let turn = "Thought: I search.\nCode:\n```py\nprint(web_search(query=\"Tirn\"))\n```<end_code>"
    static let final = "Thought: I know.\nCode:\n```py\nfinal_answer(\"5\")\n```<end_code>"
    static let found =
        "Call id: call_1\nObservation:\nExecution logs:\nTirn is a town.\nLast output from code snippet:\nNone"

    static let plan =
        "Here are the facts I know and the plan of action that I will follow to solve the task:\n```\n1. search\n```"

    static let unlisted = "I will do this:\n```\n- search\n- answer\n```"

    static let messages: [JSONValue] = [
        text("system", "long prompt"), text("user", "New task:\nWhere?\n\nIMPORTANT: rule"), text("assistant", turn),
        text("tool-call", "Calling tools:\n[…]"), text("tool-response", found), text("assistant", final),
        text("tool-response", "Call id: call_2\nObservation:\nExecution logs:\nLast output from code snippet:\n5"),
    ]

    static func data(_ messages: [JSONValue] = messages, steps: [JSONValue] = [[:]]) -> JSONValue {
        [
            "messages": .array(messages), "original_memory": ["steps": .array(steps)],
            "metadata": [
                "total_steps": 2, "success": false, "final_answer": "5", "cost": ["input_tokens": 700],
            ],
        ]
    }

    static func record(_ changes: [String: JSONValue?] = [:]) -> JSONValue {
        var record: [String: JSONValue] = [
            "model_id": "Qwen/Qwen2.5-32B-Instruct", "question": "Where?", "generated_answer": "5", "true_answer": "5",
            "log_data": data(), "cost": 0.0024,
        ]
        for (key, value) in changes { record[key] = value }
        return .object(record)
    }
}

@Suite("Logs of agent-distillation")
struct DistillationLogTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func read(
        _ lines: [String], questions: [AgentTask] = []
    ) throws -> (trajectories: [StoredTrajectory], account: ImportAccount) {
        let file = try folder.file("log.jsonl", lines.joined(separator: "\n"))
        return try DistillationLogImporter(family: .math, questions: questions).read(file)
    }

    private func one(_ record: JSONValue) throws -> (trajectory: Trajectory, faults: Set<String>) {
        let (trajectories, account) = try read([record.jsonText])
        #expect(account.rejections.isEmpty)
        return (try #require(trajectories.first).trajectory, Set(account.repairs.keys))
    }

    @Test("a sound record: programs, outputs in Retort's form, the answer that ends it")
    func sound() throws {
        let (trajectory, _) = try one(Log.record())
        #expect(
            trajectory.steps.map(\.action) == [
                .code("print(web_search(query=\"Tirn\"))"), .code("final_answer(\"5\")"),
            ])
        #expect(trajectory.steps.map(\.thought) == ["I search.", "I know."])
        #expect(trajectory.steps[0].observation == Observation(text: "Tirn is a town.", outcome: .success))
        #expect(trajectory.ending == .answered("5"))
        #expect(trajectory.task.answers == ["5"])
        #expect(trajectory.provenance.model == "Qwen/Qwen2.5-32B-Instruct")
        // Which tokens the totals count cannot be told, so none are taken over.
        #expect(trajectory.usage == Usage())
        #expect(trajectory.task.metadata["reported"]?["metadata"]?["cost"]?["input_tokens"] == 700)
    }

    @Test("the same question has the same id in every import")
    func identity() throws {
        let ids = try (0..<2).map { _ in try one(Log.record()).trajectory.id }
        #expect(ids[0] == ids[1])
        #expect(try one(Log.record(["question": "Who?"])).trajectory.id != ids[0])
    }

    @Test("the answer keeps its type", arguments: [5, 2.0, true, ["a", .null]] as [JSONValue])
    func answers(value: JSONValue) throws {
        #expect(try one(Log.record(["generated_answer": value])).trajectory.ending == .answered(value))
    }

    @Test("every fault that can be put right is, and by name", arguments: LogFault.allCases)
    func faults(fault: LogFault) throws {
        let spoilt: JSONValue
        var expected = Ending.answered("5")
        switch fault {
        case .wholeRecordAsText: spoilt = .string(Log.record().jsonText)
        case .valuesAsText:
            spoilt = Log.record(["cost": "0.0024", "score": "True", "error": "None"])
        case .logAsText: spoilt = Log.record(["log_data": .string(Log.data().jsonText)])
        case .roleSpelling:
            let spelled = Log.messages.map { message -> JSONValue in
                let role = message["role"]?.string?.uppercased().replacing("-", with: "_") ?? ""
                return ["role": .string("MessageRole.\(role)"), "content": message["content"] ?? []]
            }
            spoilt = Log.record(["log_data": Log.data(spelled)])
        case .questionFailed:
            spoilt = ["model_id": "m", "question": "Where?", "error": "timed out", "log_data": .null, "cost": 0.0]
            expected = .failed("timed out")
        case .referenceMissing: spoilt = Log.record(["true_answer": .some(.null)])
        case .identityLost, .tokenTotals, .successFalse: spoilt = Log.record()
        case .forcedAnswerAside:
            let memory: [JSONValue] = [[:], ["messages": [Log.text("assistant", "Answer: 5")]]]
            spoilt = Log.record(["log_data": Log.data(Array(Log.messages.prefix(5)), steps: memory)])
            expected = .forced("5")
        case .hintInPrompt:
            var messages = Log.messages
            messages[1] = Log.text("user", "Where? <reference>solution</reference>")
            spoilt = Log.record(["log_data": Log.data(messages)])
        case .gluedTurns:
            var messages = Log.messages
            let glued =
                "Call id: call_1\nObservation:\nExecution logs:\nxCall id: call_1\nError:\nCode execution failed at line "
                + "'y' due to: NameError: y\nNow let's retry: …"
            messages[4] = Log.text("tool-response", glued)
            spoilt = Log.record(["log_data": Log.data(messages)])
        case .windowsLineEnds:
            let lines = Log.messages.map { message -> JSONValue in
                let text = message["content"]?.array?.first?["text"]?.string ?? ""
                return Log.text(message["role"]?.string ?? "", text.replacing("\n", with: "\r\n"))
            }
            spoilt = Log.record(["log_data": Log.data(lines)])
        case .planJoined:
            var messages = Log.messages
            messages.insert(Log.text("user", "Now proceed and carry out this plan."), at: 2)
            messages.insert(Log.text("assistant", Log.plan), at: 2)
            spoilt = Log.record(["log_data": Log.data(messages)])
        case .unrunJoined:
            var messages = Log.messages
            messages.insert(Log.text("assistant", Log.unlisted), at: 2)
            spoilt = Log.record(["log_data": Log.data(messages)])
        case .repeatedQuestion:
            let (trajectories, account) = try read([Log.record().jsonText, Log.record().jsonText])
            #expect(trajectories.map(\.trajectory.provenance.attempt) == [0, 1])
            #expect(account.repairs[fault.rawValue] == [2])
            return
        }
        let (trajectory, faults) = try one(spoilt)
        #expect(faults.contains(fault.rawValue))
        #expect(trajectory.ending == expected)
        if fault == .gluedTurns {
            #expect(trajectory.steps[0].observation.text.hasPrefix("x\nCode execution failed"))
            #expect(
                trajectory.steps[0].observation.outcome == .executionError(type: "NameError", message: "y"))
        }
        if fault == .planJoined {
            #expect(trajectory.steps.count == 2)
            #expect(trajectory.steps[0].thought == "\(Log.plan)\n\nI search.")
        }
        if fault == .unrunJoined {
            #expect(trajectory.steps.map(\.thought) == ["\(Log.unlisted)\n\nI search.", "I know."])
        }
        if fault == .windowsLineEnds {
            #expect(trajectory.steps.map(\.action) == (try one(Log.record()).trajectory.steps.map(\.action)))
            #expect(trajectory.steps[0].observation == Observation(text: "Tirn is a town.", outcome: .success))
        }
        if fault == .roleSpelling { #expect(trajectory.steps[0].observation.text == "Tirn is a town.") }
    }

    @Test("turns between smolagents' tags, plans that only precede, and observations of the role tool")
    func today() throws {
        let messages = [
            Log.text("system", "prompt"), Log.text("user", "New task:\nWhere?"), Log.text("assistant", Log.plan),
            Log.text("user", "Now proceed and carry out this plan."),
            Log.text("assistant", "Thought: I search.\n<code>\nprint(web_search(query=\"Tirn\"))\n</code>"),
            Log.text("assistant", "Calling tools:\n[{'id': 'call_1'}]"), Log.text("tool", Log.found),
            Log.text("assistant", "[PLAN]:\n```\nanswer\n```"),
            Log.text("assistant", "I know.\n<code>\nfinal_answer(\"5\")\n</code>"),
            Log.text("tool-call", "Calling tools:\n[…]"), Log.text("tool_response", "Observation:\n5"),
        ]
        let (trajectory, faults) = try one(Log.record(["log_data": Log.data(messages)]))
        #expect(
            trajectory.steps.map(\.action) == [
                .code("print(web_search(query=\"Tirn\"))"), .code("final_answer(\"5\")"),
            ])
        #expect(trajectory.steps[0].observation.text == "Tirn is a town.")
        #expect(trajectory.steps[1].thought.hasSuffix("I know."))
        #expect(trajectory.ending == .answered("5"))
        #expect(faults.contains(LogFault.planJoined.rawValue))
    }

    @Test("a program in a plan of any wording was not run, and one whose result is missing did not succeed")
    func unrun() throws {
        let plan = "### Facts\nTirn.\n### Steps\n```py\nfinal_answer(0)\n```\n<end_plan>"
        var messages = Log.messages
        messages.insert(Log.text("assistant", plan), at: 2)
        let (trajectory, _) = try one(Log.record(["log_data": Log.data(messages)]))
        #expect(trajectory.steps.count == 2 && trajectory.steps[0].thought.hasPrefix(plan))
        messages = Log.messages
        messages.remove(at: 4)
        let missing = try one(Log.record(["log_data": Log.data(messages)])).trajectory
        #expect(
            missing.steps.map(\.observation.outcome) == [
                .executionError(type: "NotRecorded", message: "the record holds no result"), .final("5"),
            ])
    }

    @Test(
        "roles that others give to results and to the user",
        arguments: ["tool-result", "tool_output", "TOOL_RESULT", "human"])
    func roles(role: String) throws {
        var messages = Log.messages
        messages[1] = Log.text("human", "New task:\nWhere?")
        messages[4] = Log.text(role, Log.found)
        let (trajectory, _) = try one(Log.record(["log_data": Log.data(messages)]))
        #expect(trajectory.steps[0].observation == Observation(text: "Tirn is a town.", outcome: .success))
    }

    @Test("a plan that nothing followed is no program")
    func onlyPlan() throws {
        let messages = [Log.text("user", "Where?"), Log.text("assistant", Log.plan)]
        let (trajectory, _) = try one(
            Log.record(["log_data": Log.data(messages), "generated_answer": .some(.null)]))
        #expect(trajectory.steps.map(\.action.code) == [nil])
        #expect(trajectory.steps[0].observation.outcome.isFailure)
    }

    @Test(
        "a list of references is several answers",
        arguments: [
            (["Tirn", "the town"], ["Tirn", "the town"]), ([5, ["5.0"]], ["5", "5.0"]), ([], []), ("[1]", ["[1]"]),
            ([.null, "a"], ["a"]),
        ] as [(JSONValue, [String])])
    func references(reference: JSONValue, answers: [String]) throws {
        #expect(try one(Log.record(["true_answer": reference])).trajectory.task.answers == answers)
    }

    @Test("a list that became a text with all values is a list again")
    func writtenReferences() throws {
        let record = Log.record(["true_answer": "['Tirn', 'it\\'s']", "cost": "0.0024"])
        #expect(try one(record).trajectory.task.answers == ["Tirn", "it's"])
    }

    @Test("a role that is not known rejects the record by name")
    func unknownRole() throws {
        let messages = Log.messages + [Log.text("narrator", "…")]
        let (_, account) = try read([Log.record(["log_data": Log.data(messages)]).jsonText])
        #expect(account.rejections.map(\.reason) == ["a message's role is none that smolagents writes"])
    }

    @Test("a record written by Python's str is read too, its symbols as text")
    func pythonText() throws {
        let text =
            "{'model_id': 'm', 'question': 'It\\'s?', 'generated_answer': {x: sqrt(2)/2, 'n': None}, 'cost': 0.0, "
            + "'log_data': {'messages': [{'role': <MessageRole.ASSISTANT>, 'content': 'Code:\\n```py\\nfinal_answer(x)\\n```'}]}}"
        let record = text.replacing("<MessageRole.ASSISTANT>", with: "'MessageRole.ASSISTANT'")
        let (trajectory, faults) = try one(.string(record))
        #expect(trajectory.task.question == "It's?")
        #expect(trajectory.ending == .answered(["x": "sqrt(2)/2", "n": .null]))
        #expect(faults.contains(LogFault.wholeRecordAsText.rawValue))
    }

    @Test("what is beyond repair is left out with its line and the reason, and the rest is read")
    func rejections() throws {
        let lines = [
            "\"no record\"", "[1]", "{\"question\": \"\"}", "{\"question\": \"Where?\"}",
            Log.record(["log_data": Log.data([Log.text("user", "Where?")])]).jsonText,
            Log.record(["log_data": Log.data([["role": "assistant", "content": [["type": "image"]]]])]).jsonText,
            "{oops", Log.record().jsonText, "{\"question\": \"cut",
        ]
        let (trajectories, account) = try read(lines)
        #expect(trajectories.count == 1)
        #expect(account.records == 9)
        #expect(account.rejections.map(\.record) == [1, 2, 3, 4, 5, 6, 7, 9])
        let reasons = account.rejections.map(\.reason)
        #expect(
            Array(reasons.prefix(6)) == [
                "the record is one text, and no record can be read from it", "the record is no object",
                "the record has no question", "the record has neither messages nor an error",
                "the messages hold no turn of the model", "a message holds something else than text",
            ])
        #expect(reasons[6].hasPrefix("it is not valid JSON"))
        #expect(reasons[7] == "the file ends in the middle of this record")
    }

    @Test("a question file gives back id, reference, level and type")
    func questions() throws {
        let task = AgentTask(
            id: "hotpot-5a8", question: "Where?", answers: ["Tirn"], family: .factual, split: "train",
            metadata: ["level": "hard"])
        let failed = #"{"question": "Where?", "error": "e", "log_data": null, "cost": 0.0}"#
        let (trajectories, _) = try read([failed], questions: [task])
        #expect(trajectories[0].trajectory.task.id == "hotpot-5a8")
        #expect(trajectories[0].trajectory.task.answers == ["Tirn"])
        #expect(trajectories[0].trajectory.task.metadata["level"] == "hard")
    }

    @Test(
        "recorded scores, whatever their type",
        arguments: [(true, true), (1, true), ("True", true), (0, false)] as [(JSONValue, Bool)])
    func scores(score: JSONValue, isCorrect: Bool) throws {
        let (trajectories, _) = try read([Log.record(["score": score]).jsonText])
        #expect(trajectories[0].verdict?.isCorrect == isCorrect)
        let (blank, _) = try read([Log.record(["score": ""]).jsonText])
        #expect(blank[0].verdict == nil)
    }

    @Test("errors of the parser and of programs are told apart")
    func errors() throws {
        var messages = Log.messages
        messages[4] = Log.text(
            "tool-response",
            "Call id: call_1\nError:\nError in code parsing:\nYour code snippet is invalid\nNow let's retry: …")
        let (trajectory, _) = try one(Log.record(["log_data": Log.data(messages)]))
        guard case .parseError = trajectory.steps[0].observation.outcome,
            case .unparsable = trajectory.steps[0].action
        else {
            Issue.record("\(trajectory.steps[0])")
            return
        }
    }

    @Test("chain-of-thought mode: reasoning, answer and usage")
    func reasoning() throws {
        let record: JSONValue = [
            "id": "5ac3", "question": "Where?", "answer": "Atlanta", "level": "hard",
            "generated_answer": "\\boxed{Atlanta}", "response": "It is there. <answer>\\boxed{Atlanta}</answer>",
            "messages": [], "input_tokens": 177, "output_tokens": 128, "cost": 0.00076,
        ]
        let (trajectory, _) = try one(record)
        #expect(trajectory.id == "log-5ac3/cot/0")
        #expect(trajectory.ending == .answered("\\boxed{Atlanta}"))
        #expect(trajectory.steps[0].thought == "It is there.")
        #expect(trajectory.usage.completionTokens == 128)
        for count in [Int.max, .min] {
            guard case .object(var large) = record else { return }
            (large["input_tokens"], large["output_tokens"]) = (.integer(count), .integer(count))
            let usage = try one(.object(large)).trajectory.usage
            #expect(usage.promptTokens >= 0 && usage.promptTokens + usage.completionTokens <= 1 << 45)
        }
    }
}
