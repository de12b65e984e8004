import Foundation
import RetortCore
import RetortStore
import Testing

@Suite("Logs of agents: smolagents' memory, Claude Code, Codex")
struct AgentLogTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func read(
        _ text: String, _ name: String = "a.jsonl"
    ) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        try RecordedTrajectories.read(try folder.file(name, text), format: .auto)
    }

    // MARK: smolagents (shapes written by smolagents 1.26)

    private let memory = """
        [{"task": "What is the area?", "task_images": null},
         {"model_input_messages": [], "plan": "First the area.", "timing": {"duration": 0.5}, "token_usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}},
         {"step_number": 1, "timing": {"start_time": 1.0, "end_time": 3.0, "duration": 2.0},
          "model_input_messages": [{"role": "system", "content": [{"type": "text", "text": "Be exact."}]}],
          "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "python_interpreter", "arguments": "x = area(3, 4)\\nx"}}],
          "error": null, "model_output": "Thought: I compute.\\n<code>\\nx = area(3, 4)\\nx\\n</code>", "code_action": "x = area(3, 4)\\nx",
          "observations": "Execution logs:\\nhello\\nLast output from code snippet:\\n12", "observations_images": null,
          "action_output": 12, "token_usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}, "is_final_answer": false},
         {"step_number": 2, "tool_calls": [], "error": {"type": "AgentParsingError", "message": "Error in code parsing: none"},
          "model_output": "no code", "code_action": null, "observations": null, "action_output": null, "is_final_answer": false},
         {"step_number": 3, "tool_calls": [], "error": {"type": "AgentExecutionError", "message": "Code execution failed at line '1/0' due to: ZeroDivisionError: division by zero"},
          "model_output": "Thought: bad\\n<code>\\n1/0\\n</code>", "code_action": "1/0", "observations": null, "action_output": null, "is_final_answer": false},
         {"step_number": 4, "tool_calls": [], "error": null, "model_output": "Thought: done\\n<code>\\nfinal_answer(x)\\n</code>",
          "code_action": "final_answer(x)", "observations": "Execution logs:\\nLast output from code snippet:\\n12", "action_output": 12, "is_final_answer": true}]
        """

    @Test(
        "a CodeAgent's memory: programs, what they printed, errors, and the answer's value",
        arguments: [#"\n"#, #"\r\n"#])
    func codeAgent(lineEnd: String) throws {
        let (trajectories, account) = try read(memory.replacing(#"\n"#, with: lineEnd), "memory.json")
        #expect(account.format == .smolagents)
        let trajectory = try #require(trajectories.first)
        #expect(trajectory.task.question == "What is the area?")
        #expect(trajectory.task.metadata["system"] == "Be exact.")
        #expect(trajectory.steps.map(\.action.code) == ["x = area(3, 4)\nx", nil, "1/0", "final_answer(x)"])
        #expect(trajectory.steps.map(\.thought) == ["First the area.\n\nI compute.", "", "bad", "done"])
        #expect(trajectory.steps[0].observation.text == "hello\n12")
        #expect(trajectory.steps[0].usage == Usage(promptTokens: 14, completionTokens: 11, seconds: 2.5))
        #expect(trajectory.steps[1].observation.outcome == .parseError("Error in code parsing: none"))
        #expect(
            trajectory.steps[2].observation.outcome
                == .executionError(type: "ZeroDivisionError", message: "division by zero"))
        #expect(trajectory.ending == .answered(12))
        #expect(account.unread.isEmpty)
    }

    @Test(
        "a code agent's only turn is a program, not an answer, where its instructions say what an answer is",
        arguments: [true, false])
    func onlyTurn(isAgents: Bool) throws {
        let system =
            isAgents ? "Write code in <code>, and give the answer with `final_answer`." : "Show examples of code."
        let turn = "Thought: I add.\\n<code>\\nprint(2 + 3)\\n</code>"
        let trajectory = try #require(
            try read(
                #"{"messages": [{"role": "system", "content": "\#(system)"}, {"role": "user", "content": "2 + 3?"}, "#
                    + #"{"role": "assistant", "content": "\#(turn)"}]}"#
            ).trajectories.first)
        let step = try #require(trajectory.steps.first)
        if isAgents {
            #expect(step.action == .code("print(2 + 3)") && step.thought == "I add." && trajectory.answer == nil)
        } else {
            #expect(trajectory.answer?.contains("print(2 + 3)") == true)
        }
    }

    @Test("a ToolCallingAgent's calls, those that failed among them")
    func toolAgent() throws {
        let (trajectories, _) = try read(
            """
            {"output": "12 and 30", "state": "success", "steps": [{"task": "Two areas?", "task_images": null},
             {"step_number": 1, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "area", "arguments": {"w": 3}}},
              {"id": "c2", "type": "function", "function": {"name": "area", "arguments": {"w": 5}}}], "error": null,
              "model_output": "I call two", "observations": "12\\n30", "action_output": null, "is_final_answer": false},
             {"step_number": 2, "tool_calls": [], "error": {"type": "AgentToolExecutionError", "message": "ValueError: no"},
              "model_output_message": {"role": "assistant", "content": null, "tool_calls": [{"id": "c3", "type": "function",
              "function": {"name": "area", "arguments": {"w": -1}, "description": null}}]}, "model_output": null, "is_final_answer": false},
             {"step_number": 3, "tool_calls": [{"id": "c4", "type": "function", "function": {"name": "final_answer",
              "arguments": {"answer": "12 and 30"}}}], "error": null, "observations": "12 and 30", "is_final_answer": true}]}
            """.replacing("\n", with: " "))
        let trajectory = try #require(trajectories.first)
        #expect(trajectory.steps.map(\.action.toolName) == ["area", "area", "area", nil])
        #expect(trajectory.steps.map(\.observation.text) == ["", "12\n30", "ValueError: no", "12 and 30"])
        #expect(trajectory.steps[2].observation.outcome == .executionError(type: "ValueError", message: "no"))
        #expect(trajectory.ending == .answered("12 and 30"))
    }

    @Test(
        "a program that stands only in the model's words is read as while acting",
        arguments: [
            "<code>\\nfinal_answer(n)", "```py\\nfinal_answer(n)\\n```",
            "Code:\\n```\\nfinal_answer(n)\\n```<end_code>",
        ])
    func onlyWords(turn: String) throws {
        let (trajectories, account) = try read(
            """
            [{"task": "How many?"}, {"step_number": 1, "observations": "Execution logs:\\n3",
              "model_output": "Thought: count\\n<code>\\nn = 3\\nprint(n)\\n</code>"},
             {"step_number": 2, "model_output": "Thought: so\\n\(turn)", "observations": "3", "action_output": 3,
              "is_final_answer": true}]
            """, "m.json")
        let trajectory = try #require(trajectories.first)
        #expect(trajectory.steps.map(\.action.code) == ["n = 3\nprint(n)", "final_answer(n)"])
        #expect(trajectory.steps.map(\.thought) == ["count", "so"])
        #expect(trajectory.steps.map(\.observation.text) == ["3", "3"])
        #expect(trajectory.ending == .answered(3))
        #expect(account.repairs.keys.contains { $0.contains("only in the model's words") })
    }

    @Test(
        "a step that is the answer ends the run, whatever its action was",
        arguments: [
            #""model_output": "It is 7.""#,
            #""tool_calls": [{"id": "c", "type": "function", "function": {"name": "submit", "arguments": {"x": 7}}}]"#,
        ])
    func finalStep(action: String) throws {
        let (trajectories, _) = try read(
            #"[{"task": "Max?"}, {"step_number": 1, \#(action), "action_output": 7, "is_final_answer": true}]"#,
            "m.json")
        #expect(trajectories.first?.ending == .answered(7))
        #expect(trajectories.first?.steps.map(\.observation.outcome) == [.final(7)])
    }

    @Test("a plan at the end of a memory is a step that did not act, and one behind the answer is reported")
    func lastPlan() throws {
        let step = #"{"step_number": 1, "code_action": "print(1)", "model_output": "So.", "observations": "1"}"#
        let (trajectories, account) = try read(
            #"[{"task": "Max?"}, \#(step), {"plan": "```\n1. look\n```"}]"#, "m.json")
        let reason = "the memory ends after a plan"
        #expect(
            trajectories.first?.steps.map(\.action) == [
                .code("print(1)"), .unparsable(text: "```\n1. look\n```", reason: reason),
            ])
        #expect(trajectories.first?.steps.last?.observation.outcome == .parseError(reason))
        #expect(account.repairs.isEmpty)
        let (_, late) = try read(#"[{"task": "Max?"}, \#(step), {"output": 1}, {"plan": "look"}]"#, "m.json")
        #expect(late.unread.keys.contains { $0.contains("a plan behind the answer") })
    }

    @Test("an answer at the step limit is a forced one")
    func forced() throws {
        let (trajectories, _) = try read(
            """
            [{"task": "Max?"}, {"step_number": 1, "code_action": "print(1)", "model_output": "<code>\\nprint(1)\\n</code>", "observations": "1"},
             {"step_number": 2, "error": {"type": "AgentMaxStepsError", "message": "Reached max steps."}, "action_output": "7"}]
            """, "m.json")
        #expect(trajectories.first?.ending == .forced("7"))
    }

    // MARK: Other agents' chats

    private func chat(_ report: String, first: String, second: String) throws -> Trajectory {
        let messages: JSONValue = [
            ["role": "user", "content": "Who?"], ["role": "assistant", "content": .string(first)],
            ["role": "user", "content": .string(report)], ["role": "assistant", "content": .string(second)],
        ]
        return try #require(try read(JSONValue.object(["messages": messages]).jsonText).trajectories.first)
    }

    @Test(
        "a program's result is read in the wording of any agent",
        arguments: [
            ("**Observation:** Q4", "Q4"), ("**Observation**:\nQ4", "Q4"), ("OBSERVATION: Q4", "Q4"),
            ("Execution Logs:\nQ4", "Q4"), ("**Execution logs:**\nQ4", "Q4"),
            ("[OUTPUT OF STEP 2] -> Observation:\nQ4", "Q4"), ("<observation>\nQ4\n</observation>", "Q4"),
            ("```output\nQ4\n```", "Q4"), ("### Observations:\nQ4", "Q4"), ("Q4", "Q4"), ("Output: Q4", "Output: Q4"),
        ])
    func reports(report: String, shown: String) throws {
        let trajectory = try chat(
            report, first: "Thought: a\n<code>\nprint(who())\n</code>",
            second: "Thought: b\nCode:\n```py\nfinal_answer('Q4')\n```")
        #expect(trajectory.steps.map(\.action.code) == ["print(who())", "final_answer('Q4')"])
        #expect(trajectory.steps[0].observation == Observation(text: shown, outcome: .success))
        #expect(trajectory.ending == .answered("Q4"))
    }

    @Test(
        "a failure in other words is a failure",
        arguments: ["**Error:**\nKeyError: 'a'", "[OUTPUT OF STEP 1] -> Error:\nKeyError: 'a'"])
    func failures(report: String) throws {
        let trajectory = try chat(
            report, first: "Code:\n```py\nd['a']\n```", second: "Code:\n```py\nfinal_answer(1)\n```")
        #expect(
            trajectory.steps.first?.observation.outcome == .executionError(type: "KeyError", message: "'a'"))
    }

    @Test("in a chat about code the user's words are the user's")
    func codeChat() throws {
        let trajectory = try chat(
            "Now faster.", first: "Like this:\n```python\nsum(a)\n```", second: "So:\n```python\nmath.fsum(a)\n```")
        #expect(trajectory.steps.map(\.action.code) == [nil, nil])
        #expect(trajectory.steps.last?.remarks == ["Now faster."])
    }

    // MARK: Claude Code

    private func line(
        _ type: String, _ uuid: String, after parent: String?, _ content: String, id: String = "", more: String = ""
    ) -> String {
        let reply =
            id.isEmpty
            ? ""
            : #""id":"\#(id)","model":"claude-x","usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":2},"#
        return """
            {"parentUuid":\(parent.map { "\"\($0)\"" } ?? "null"),"isSidechain":false,"sessionId":"s1","version":"2.1.1","cwd":"/w",\
            "type":"\(type)","message":{\(reply)"role":"\(type)","content":\(content)},"uuid":"\(uuid)"\(more)}
            """
    }

    private var session: [String] {
        [
            #"{"type":"summary","summary":"Fixing","leafUuid":"x"}"#,
            line("user", "u1", after: nil, #""Fix the test""#),
            line("assistant", "a1", after: "u1", #"[{"type":"thinking","thinking":"Hm.","signature":"zz"}]"#, id: "m1"),
            line("assistant", "a2", after: "a1", #"[{"type":"text","text":"I look."}]"#, id: "m1"),
            line(
                "assistant", "a3", after: "a2",
                #"[{"type":"tool_use","id":"t1","name":"Read","input":{"file_path":"a"}}]"#, id: "m1"),
            line(
                "assistant", "a4", after: "a3",
                #"[{"type":"tool_use","id":"t2","name":"Bash","input":{"command":"ls"}}]"#, id: "m1"),
            line(
                "user", "r1", after: "a3", #"[{"type":"tool_result","tool_use_id":"t1","content":"text"}]"#,
                more: #","toolUseResult":{"x":1}"#),
            line(
                "user", "r2", after: "a4",
                #"[{"type":"tool_result","tool_use_id":"t2","content":[{"type":"text","text":"no"}],"is_error":true}]"#),
            line("assistant", "b1", after: "r2", #"[{"type":"text","text":"Done."}]"#, id: "m2"),
        ]
    }

    @Test("a session of Claude Code: one turn from its lines, calls made at once with their results, errors")
    func claudeCode() throws {
        let (trajectories, account) = try read(session.joined(separator: "\n"))
        #expect(account.format == .claudeCode)
        #expect(trajectories.count == 1)
        let trajectory = try #require(trajectories.first)
        #expect(trajectory.id == "s1/claude-code/0")
        #expect(trajectory.task.question == "Fix the test")
        #expect(trajectory.provenance.model == "claude-x")
        #expect(trajectory.steps.map(\.action.toolName) == ["Read", "Bash", nil])
        #expect(trajectory.steps.map(\.thought) == ["Hm.\nI look.", "", ""])
        #expect(trajectory.steps.map(\.observation.text) == ["text", "no", ""])
        #expect(trajectory.steps[1].observation.outcome == .executionError(type: "ToolError", message: "no"))
        #expect(trajectory.steps[0].usage == Usage(promptTokens: 15, completionTokens: 2))
        #expect(trajectory.ending == .answered("Done."))
        #expect(account.rejections.isEmpty)
        #expect(account.unread.isEmpty)
    }

    @Test("a prompt that was taken back, subagents and compactions are runs of their own")
    func branches() throws {
        let more = [
            line("user", "u2", after: "b1", #""And now?""#),
            line("assistant", "c1", after: "u2", #"[{"type":"text","text":"Left."}]"#, id: "m3"),
            line("user", "u3", after: "b1", #""And then?""#),
            line("assistant", "d1", after: "u3", #"[{"type":"text","text":"Right."}]"#, id: "m4"),
            line("user", "s1", after: nil, #""Look it up""#).replacing(
                "\"isSidechain\":false", with: "\"isSidechain\":true"),
            line("assistant", "s2", after: "s1", #"[{"type":"text","text":"Found."}]"#, id: "m5").replacing(
                "\"isSidechain\":false", with: "\"isSidechain\":true"),
            #"{"type":"system","subtype":"compact_boundary","uuid":"k","parentUuid":null,"logicalParentUuid":"d1"}"#,
            line("user", "k1", after: "k", #""Summary: all well""#, more: #","isCompactSummary":true"#),
            line("assistant", "k2", after: "k1", #"[{"type":"text","text":"On."}]"#, id: "m6"),
            #"{"type":"novelty","uuid":"n"}"#,
        ]
        let (trajectories, account) = try read((session + more).joined(separator: "\n"))
        #expect(trajectories.map(\.answer) == ["Left.", "Right.", "Found.", "On."])
        #expect(
            trajectories.map(\.task.question) == ["Fix the test", "Fix the test", "Look it up", "Summary: all well"])
        #expect(
            trajectories.map(\.provenance.policy) == [
                "claude-code", "claude-code", "claude-code-subagent", "claude-code",
            ])
        #expect(Set(trajectories.map(\.id)).count == 4)
        #expect(account.unread["a line of type 'novelty'"] == [19])
    }

    @Test("a picture in a result refuses the run by name")
    func picture() throws {
        let (trajectories, account) = try read(
            [
                line("user", "u1", after: nil, #""Look""#),
                line(
                    "assistant", "a1", after: "u1", #"[{"type":"tool_use","id":"t1","name":"See","input":{}}]"#,
                    id: "m1"),
                line(
                    "user", "r1", after: "a1",
                    #"[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"image","source":{}}]}]"#),
            ].joined(separator: "\n"))
        #expect(trajectories.isEmpty)
        #expect(account.rejections.first?.reason.contains("'image'") == true)
    }

    // MARK: Codex

    private func item(_ payload: String, _ type: String = "response_item") -> String {
        #"{"timestamp":"2025-10-29T00:59:38.317Z","type":"\#(type)","payload":\#(payload)}"#
    }

    private var rollout: [String] {
        [
            item(
                #"{"id":"th1","timestamp":"t","cwd":"/w","originator":"codex_exec","cli_version":"0.46.0","instructions":null,"source":"exec","git":{}}"#,
                "session_meta"),
            item(
                #"{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>x</environment_context>"}]}"#
            ),
            item(#"{"type":"message","role":"user","content":[{"type":"input_text","text":"what is 2+2?"}]}"#),
            item(#"{"type":"user_message","message":"what is 2+2?","kind":"plain"}"#, "event_msg"),
            item(
                #"{"cwd":"/w","approval_policy":"never","model":"gpt-5-codex","effort":"high","summary":"auto"}"#,
                "turn_context"),
            item(
                #"{"type":"reasoning","summary":[{"type":"summary_text","text":"I try."}],"content":null,"encrypted_content":"abc"}"#
            ),
            item(
                #"{"type":"function_call","name":"shell","arguments":"{\"command\":[\"bash\",\"-lc\",\"expr 2 + 2\"]}","call_id":"c1"}"#
            ),
            item(
                #"{"type":"token_count","info":{"total_token_usage":{"input_tokens":9},"last_token_usage":{"input_tokens":9,"output_tokens":3}},"rate_limits":null}"#,
                "event_msg"),
            item(
                #"{"type":"function_call_output","call_id":"c1","output":"{\"output\":\"4\\n\",\"metadata\":{\"exit_code\":0,\"duration_seconds\":0.1}}"}"#
            ),
            item(
                #"{"type":"custom_tool_call","status":"completed","call_id":"c2","name":"apply_patch","input":"*** Begin"}"#
            ),
            item(
                #"{"type":"custom_tool_call_output","call_id":"c2","output":"Exit code: 1\nWall time: 0 seconds\nOutput:\nno"}"#
            ),
            item(#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"4"}]}"#),
            item(#"{"type":"agent_message","message":"4"}"#, "event_msg"),
        ]
    }

    @Test("a session of Codex: context apart from the question, commands' results, costs")
    func codex() throws {
        let (trajectories, account) = try read(rollout.joined(separator: "\n"))
        #expect(account.format == .codex)
        let trajectory = try #require(trajectories.first)
        #expect(trajectory.task.question == "what is 2+2?")
        #expect(trajectory.task.metadata["system"] == "<environment_context>x</environment_context>")
        #expect(trajectory.provenance.model == "gpt-5-codex")
        #expect(trajectory.steps.map(\.action.toolName) == ["shell", "apply_patch", nil])
        #expect(trajectory.steps[0].thought == "I try.")
        #expect(trajectory.steps[0].observation.text == "4\n")
        #expect(trajectory.steps[0].observation.outcome == .success)
        #expect(trajectory.steps[0].usage == Usage(promptTokens: 9, completionTokens: 3))
        #expect(trajectory.steps[1].observation.outcome.isFailure)
        #expect(trajectory.ending == .answered("4"))
        // What the model thought is told in a summary alone.
        #expect(account.unread == ["thinking that is encrypted": [1]])
    }

    @Test(
        "counts of tokens beyond reason end no import",
        arguments: ["9223372036854775807", "-9223372036854775808", "1e300"])
    func counts(count: String) throws {
        for (text, name) in [
            (memory, "memory.json"), (session.joined(separator: "\n"), "a.jsonl"),
            (rollout.joined(separator: "\n"), "b.jsonl"),
        ] {
            let large = text.replacing(/("[a-z_]*put_tokens": ?)\d+/) { "\($0.output.1)\(count)" }
            #expect(large.contains(count))
            let (trajectories, _) = try read(large, name)
            #expect(!trajectories.isEmpty)
            for usage in trajectories.map(\.usage) {
                #expect(usage.promptTokens >= 0 && usage.completionTokens >= 0)
                #expect(usage.promptTokens + usage.completionTokens <= 1 << 45)
            }
        }
    }

    @Test("what the user took back and what follows a compaction are runs of their own")
    func codexBranches() throws {
        let more = [
            item(#"{"type":"thread_rolled_back","num_turns":1}"#, "event_msg"),
            item(#"{"type":"message","role":"user","content":[{"type":"input_text","text":"what is 3+3?"}]}"#),
            item(#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"6"}]}"#),
            item(#"{"message":"The user adds.","replacement_history":null}"#, "compacted"),
            item(#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"go on"}]}"#),
            item(#"{"type":"sighing"}"#),
        ]
        let (trajectories, account) = try read((rollout + more).joined(separator: "\n"))
        #expect(trajectories.map(\.answer) == ["4", "6", "go on"])
        #expect(trajectories.map(\.task.question) == ["what is 2+2?", "what is 3+3?", "The user adds."])
        #expect(account.unread["an item of type 'sighing'"] == [19])
    }
}
