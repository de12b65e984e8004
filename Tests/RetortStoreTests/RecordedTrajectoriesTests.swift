import Foundation
import RetortCore
import RetortStore
import Testing

@Suite("Recorded trajectories in any format")
struct RecordedTrajectoriesTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func read(
        _ text: String, _ name: String = "a.jsonl", as format: TrajectoryFormat = .auto
    ) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        try RecordedTrajectories.read(try folder.file(name, text), format: format)
    }

    // MARK: Chats

    private let shop = """
        {"messages":[{"role":"system","content":"You run a shop."},{"role":"user","content":"Where is order 7?"},\
        {"role":"assistant","content":"I look.","tool_calls":[{"id":"c1","type":"function","function":\
        {"name":"find_order","arguments":"{\\"id\\": 7}"}},{"id":"c2","type":"function","function":{"name":"now","arguments":""}}]},\
        {"role":"tool","tool_call_id":"c2","content":"Monday"},{"role":"tool","tool_call_id":"c1","content":"sent"},\
        {"role":"assistant","content":"It was sent."}],"tools":[{"type":"function","function":{"name":"find_order",\
        "description":"Finds.","parameters":{"type":"object","properties":{"id":{"type":"integer"}}}}}],"category":"orders"}
        """

    @Test("OpenAI's messages become steps, calls made at once in a row, each with its own result")
    func messages() throws {
        let (trajectories, account) = try read(shop)
        let trajectory = try #require(trajectories.first)
        #expect(account.format == .messages)
        #expect(trajectory.task.question == "Where is order 7?")
        #expect(trajectory.task.metadata["system"] == "You run a shop.")
        #expect(trajectory.task.metadata["record"] == ["category": "orders"])
        #expect(trajectory.task.tools.map(\.name) == ["find_order"])
        #expect(trajectory.steps.map(\.thought) == ["I look.", "", ""])
        #expect(trajectory.steps.map(\.action.toolName) == ["find_order", "now", nil])
        #expect(trajectory.steps.map(\.observation.text) == ["sent", "Monday", ""])
        #expect(trajectory.steps[0].action == .toolCall(name: "find_order", arguments: ["id": 7]))
        #expect(trajectory.ending == .answered("It was sent."))
        #expect(account.repairs.keys.sorted() == ["calls made at once became steps in a row"])
        #expect(account.unread.isEmpty)
    }

    @Test("a byte-order mark and the line ends of Windows change nothing")
    func windows() throws {
        let plain = try read(shop + "\n" + shop + "\n").trajectories
        let marked = try read("\u{FEFF}" + shop + "\r\n" + shop + "\r\n").trajectories
        #expect(marked == plain)
        #expect(marked.map(\.id) == ["a-1/teacher/0", "a-2/teacher/0"])
    }

    @Test("a member that no chat has is told by name, with the record")
    func unread() throws {
        let (_, account) = try read(
            #"{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A","mood":0}]}"#)
        #expect(account.unread == ["'mood' of a message": [1]])
        #expect(account.description.contains("not read, 1 times: 'mood' of a message (record 1)"))
    }

    @Test(
        "turns that a file marks as not to be learned are shown and not learned",
        arguments: [
            #"{"messages":[USER,{"role":"assistant","content":"A","weight":0},USER,{"role":"assistant","content":"B","weight":1}]}"#,
            #"{"messages":[USER,{"role":"assistant","content":"A","train":false},USER,{"role":"assistant","content":"B"}]}"#,
            #"{"messages":[USER,{"role":"assistant","content":"A"},USER,{"role":"assistant","content":"B"}],"supervision":"last_assistant_only"}"#,
            #"{"messages":[USER,{"role":"assistant","content":"A"},USER,{"role":"assistant","content":"B"}],"target_assistant_turn_index":1}"#,
            #"{"conversations":[{"from":"human","value":"Q"},{"from":"gpt","value":"A","loss":false},{"from":"human","value":"Q"},{"from":"gpt","value":"B"}]}"#,
        ])
    func learnedTurns(record: String) throws {
        let (trajectories, account) = try read(record.replacing("USER", with: #"{"role":"user","content":"Q"}"#))
        let trajectory = try #require(trajectories.first)
        #expect(trajectory.steps.map { $0.isLearned ?? true } == [false, true])
        #expect(trajectory.steps(without: []) == .only([1]))
        #expect(account.unread.isEmpty && trajectory.task.metadata["record"] == nil)
    }

    @Test(
        "a mark that says neither yes nor no leaves the record out",
        arguments: [
            (#"{"messages":[USER,{"role":"assistant","content":"A","weight":0.5}]}"#, "'weight' of a turn is 0.5"),
            (#"{"messages":[USER,{"role":"assistant","content":"A"}],"supervision":"first"}"#, "'supervision'"),
            (
                #"{"messages":[USER,{"role":"assistant","content":"A"}],"target_assistant_turn_index":1}"#,
                "the model takes 1 turns"
            ),
        ])
    func unclearMarks(record: String, reason: String) throws {
        let (trajectories, account) = try read(record.replacing("USER", with: #"{"role":"user","content":"Q"}"#))
        #expect(trajectories.isEmpty)
        #expect(account.rejections.contains { $0.reason.contains(reason) }, "\(account.rejections)")
    }

    @Test(
        "what cannot be taken is left out with line and reason",
        arguments: [
            (
                #"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]},{"role":"assistant","content":"A"}]}"#,
                "image_url"
            ),
            (#"{"messages":[{"role":"user","content":"Q"},{"role":"oracle","content":"A"}]}"#, "oracle"),
            (#"{"messages":[{"role":"assistant","content":"A"}]}"#, "the user says nothing"),
            (#"{"messages":[{"role":"user","content":"Q"}]}"#, "no turn"),
            (
                #"{"messages":[{"role":"user","content":"Q"},{"role":"tool","tool_call_id":"x","content":"A"}]}"#,
                "belongs to no call"
            ), ("{\"messages\":[", "ends in the middle"),
        ])
    func rejected(line: String, reason: String) throws {
        let (trajectories, account) = try read(shop + "\n" + line)
        #expect(trajectories.count == 1)
        #expect(account.rejections.map(\.record) == [2])
        #expect(account.rejections.first?.reason.contains(reason) == true)
    }

    @Test("preferences are refused, for which answer happened is not told")
    func preferences() throws {
        let line = #"{"prompt":"Q","chosen":"A","rejected":"B"}"#
        #expect(throws: RecordedTrajectoriesError.self) { try read(line) }
        let account = try read(line, as: .promptCompletion).account
        #expect(account.rejections.first?.reason.contains("'chosen' and 'rejected'") == true)
    }

    @Test("an answer before the user speaks again is a step of its own")
    func dialogue() throws {
        let (trajectories, _) = try read(
            """
            {"messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"Which order?"},\
            {"role":"user","content":"7"},{"role":"assistant","content":"Sent."}]}
            """)
        let trajectory = try #require(trajectories.first)
        #expect(trajectory.steps.map(\.action) == [.answer("Which order?"), .answer("Sent.")])
        #expect(trajectory.steps.map(\.remarks) == [nil, ["7"]])
        #expect(trajectory.answer == "Sent.")
    }

    @Test("arguments that are no JSON are kept as they were written")
    func spoilt() throws {
        let (trajectories, account) = try read(
            """
            {"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":null,"tool_calls":[{"id":"1",\
            "type":"function","function":{"name":"f","arguments":"{x"}}]},{"role":"tool","tool_call_id":"1","content":"bad"},\
            {"role":"assistant","content":"A"}]}
            """)
        #expect(
            trajectories.first?.steps.first?.action
                == .unparsable(text: "f({x)", reason: "the arguments of f are no JSON"))
        #expect(account.repairs["the arguments of a call are no JSON"] == [1])
    }

    @Test(
        "prompts and completions, as texts and as messages",
        arguments: [
            #"{"prompt":"Q","completion":"<think>T</think>A"}"#,
            #"{"prompt":[{"role":"user","content":"Q"}],"completion":[{"role":"assistant","reasoning_content":"T","content":"A"}]}"#,
        ])
    func promptCompletion(line: String) throws {
        let (trajectories, account) = try read(line)
        #expect(account.format == .promptCompletion)
        #expect(trajectories.first?.task.question == "Q")
        #expect(trajectories.first?.steps.map(\.thought) == ["T"])
        #expect(trajectories.first?.answer == "A")
    }

    @Test(
        "ShareGPT's turns, calls in LLaMA-Factory's form and in Hermes'",
        arguments: [
            #"{"from":"function_call","value":"{\"name\": \"f\", \"arguments\": {\"x\": 1}}"},{"from":"observation","value":"2"}"#,
            #"{"from":"gpt","value":"<tool_call>\n{'name': 'f', 'arguments': {'x': 1}}\n</tool_call>"},{"from":"tool","value":"<tool_response>\n2\n</tool_response>"}"#,
        ])
    func shareGPT(turns: String) throws {
        let (trajectories, account) = try read(
            #"{"conversations":[{"from":"human","value":"Q"},\#(turns),{"from":"gpt","value":"A"}],"system":"S"}"#)
        #expect(account.format == .shareGPT)
        let trajectory = try #require(trajectories.first)
        #expect(trajectory.steps.map(\.action) == [.toolCall(name: "f", arguments: ["x": 1]), .answer("A")])
        #expect(trajectory.steps[0].observation.text == "2")
        #expect(trajectory.task.metadata["system"] == "S")
    }

    @Test("a code agent's turns are programs, and what the next message reports is their observation")
    func codeAgent() throws {
        let (trajectories, _) = try read(
            """
            {"messages":[{"role":"user","content":"New task:\\nWhat is 6 by 7?"},\
            {"role":"assistant","content":"Thought: I multiply.\\n<code>\\nprint(6 * 7)\\n</code>\\nCalling tools:\\n\
            [{'id': 'call_1', 'type': 'function', 'function': {'name': 'python_interpreter', 'arguments': 'print(6 * 7)'}}]"},\
            {"role":"user","content":"Observation:\\nExecution logs:\\n42\\nLast output from code snippet:\\nNone"},\
            {"role":"assistant","content":"no program"},{"role":"user","content":"Error:\\nError in code parsing: none\\nNow let's retry: x"},\
            {"role":"assistant","content":"Thought: Done.\\n<code>\\nfinal_answer(42)\\n</code>"}]}
            """)
        let trajectory = try #require(trajectories.first)
        #expect(trajectory.task.question == "What is 6 by 7?")
        #expect(trajectory.steps.map(\.action.code) == ["print(6 * 7)", nil, "final_answer(42)"])
        #expect(trajectory.steps[0].observation.text == "42")
        #expect(trajectory.steps[1].observation.outcome == .parseError("Error in code parsing: none"))
        #expect(trajectory.ending == .answered(42))
    }

    /// A line of JSON whose texts end their lines as given.
    private func record(_ turns: [(role: String, text: String)], lineEnd: String) throws -> String {
        let messages = turns.map { turn in
            JSONValue.object([
                "role": .string(turn.role), "content": .string(turn.text.replacing("\n", with: lineEnd)),
            ])
        }
        let record = JSONValue.object(["messages": .array(messages)])
        return String(decoding: try JSONEncoder().encode(record), as: UTF8.self)
    }

    @Test(
        "smolagents' own messages: a program told again as a call is one step, and an answer told again no result",
        arguments: ["\n", "\r\n"])
    func smolagentsMessages(lineEnd: String) throws {
        let program = #"{'name': 'python_interpreter', 'arguments': 'x = 1\nprint(x)'}"#
        let call = "{'id': 'c', 'type': 'function', 'function': \(program)}"
        let code = try record(
            [
                ("user", "New task:\nWhat is it?"), ("assistant", "Thought: look\n<code>\nx = 1\nprint(x)\n</code>"),
                ("tool-call", "Calling tools:\n[\(call)]"),
                ("tool-response", "Observation:\nExecution logs:\n1\nLast output from code snippet:\nNone"),
                ("tool-call", "Calling tools:\n[\(call)]"),
                ("tool-response", "Observation:\nExecution logs:\n1\nLast output from code snippet:\n2"),
            ], lineEnd: lineEnd)
        let acted = try #require(try read(code).trajectories.first)
        #expect(acted.task.question == "What is it?")
        #expect(acted.steps.map(\.action.code) == ["x = 1\nprint(x)", "x = 1\nprint(x)"])
        #expect(acted.steps.map(\.observation.text) == ["1", "1\n2"])
        #expect(acted.steps.map(\.thought) == ["look", ""])

        let answer = "{'id': 'c', 'type': 'function', 'function': {'name': 'final_answer', 'arguments': {'answer': 7}}}"
        let called = try record(
            [
                ("user", "Q"), ("tool-call", "Calling tools:\n[\(answer)]"), ("tool-response", "Observation:\n7"),
            ], lineEnd: lineEnd)
        #expect(try read(called).trajectories.map(\.ending) == [.answered(7)])
    }

    @Test("a list is read whatever its lines and its file's ending are", arguments: ["a.json", "a.jsonl"])
    func list(name: String) throws {
        for text in ["[\n\(shop)\n]", "[\(shop),\n\(shop)]", "  [ \(shop) ]"] {
            #expect(try read(text, name).trajectories.first?.answer == "It was sent.")
        }
    }

    // MARK: Recognition

    @Test("a record that two formats fit is an error that names them; a stranger's names the formats")
    func ambiguous() throws {
        let both = #"{"messages":[{"role":"user","content":"Q"}],"prompt":"Q","completion":"A"}"#
        let file = try folder.file("a.jsonl", both)
        #expect(
            throws: RecordedTrajectoriesError.ambiguous(file: file.path, candidates: [.messages, .promptCompletion])
        ) { try RecordedTrajectories.read(file, format: .auto) }
        let error = #expect(throws: RecordedTrajectoriesError.self) { try read(#"{"spam":1,"eggs":2}"#) }
        #expect(error?.description.contains("'eggs', 'spam'") == true)
        #expect(error?.description.contains("sharegpt, smolagents, claude-code, codex") == true)
        #expect(throws: RecordedTrajectoriesError.self) { try read("\n\n") }
    }

    @Test("Retort's own come back as they were, and a member that it does not know is told")
    func own() throws {
        var maker = TrajectoryMaker(seed: 1)
        let trajectories = (0..<20).map { maker.trajectory($0) }
        let file = folder.file("own.jsonl")
        try JSONLines.write(trajectories, to: file)
        let (read, account) = try RecordedTrajectories.read(file, format: .auto)
        #expect(account.format == .trajectories)
        #expect(read.map(\.task) == trajectories.map(\.task))
        #expect(read.map(\.steps) == trajectories.map(\.steps))
        #expect(account.unread.isEmpty)
        var text = try String(contentsOf: file, encoding: .utf8)
        text = text.replacing("{\"", with: "{\"mood\":\"new\",\"", maxReplacements: 1)
        #expect(try self.read(text).account.unread.keys.contains { $0.hasPrefix("'mood' of") })
    }

    @Test("published sets are recognised, and members that their readers do not know are told")
    func published() throws {
        let (trajectories, account) = try read(
            ##"{"idx":1,"question":"Q","gt":"2","code":["```python\n1+1\n```\n```output\n2\n```\nIt is \\boxed{2}."],"pred":["2"],"mood":"fine"}"##
        )
        #expect(account.format == .tora)
        #expect(trajectories.first?.answer == "2")
        #expect(account.unread == ["'mood' of a record": [1]])
        let fireact = try read(
            #"[{"instruction":"Q","input":"","output":"Thought: I know.\nAction: finish[A]\nObservation: Episode finished, reward = True"}]"#,
            "f.json")
        #expect(fireact.account.format == .fireact)
        #expect(fireact.trajectories.first?.answer == "A")
        #expect(fireact.account.unread.isEmpty)
    }
}
