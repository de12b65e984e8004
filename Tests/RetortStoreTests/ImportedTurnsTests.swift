import Foundation
import RetortCore
import RetortStore
import Testing

@Suite("Turns that an import must not change")
struct ImportedTurnsTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func read(
        _ text: String, _ name: String = "a.jsonl"
    ) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        try RecordedTrajectories.read(try folder.file(name, text), format: .auto)
    }

    private func messages(_ turns: String..., rest: String = "") throws -> (Trajectory?, ImportAccount) {
        let user = #"{"role":"user","content":"Q"}"#
        let (trajectories, account) = try read(
            #"{"messages":["# + ([user] + turns).joined(separator: ",") + "]" + rest + "}")
        return (trajectories.first, account)
    }

    private static let call =
        #"{"id":"c","type":"function","function":{"name":"w","arguments":"{\"city\":\"A\"}"}}"#
    private static let sunny = #"{"role":"tool","tool_call_id":"c","content":"sunny"}"#
    private static let done = #"{"role":"assistant","content":"done"}"#

    @Test("a turn that is not to be learned never becomes a thought that is")
    func apart() throws {
        let (trajectory, _) = try messages(
            #"{"role":"assistant","content":"SECRET","weight":0}"#,
            #"{"role":"assistant","content":null,"tool_calls":[\#(Self.call)]}"#, Self.sunny, Self.done)
        let steps = try #require(trajectory).steps
        #expect(steps.map(\.isLearned) == [false, nil, nil])
        #expect(steps.map(\.thought) == ["", "", ""])
        #expect(steps[1].action.toolName == "w")
    }

    @Test("a turn that is learned may become part of a thought that is not")
    func together() throws {
        let (trajectory, _) = try messages(
            #"{"role":"assistant","content":"I look."}"#,
            #"{"role":"assistant","content":null,"weight":0,"tool_calls":[\#(Self.call)]}"#, Self.sunny, Self.done)
        #expect(trajectory?.steps.map(\.isLearned) == [false, nil])
        #expect(trajectory?.steps.first?.thought == "I look.")
    }

    @Test("a mark on a message of Anthropic's blocks, or on a call in a role of its own, counts")
    func marks() throws {
        let blocks =
            #"{"role":"assistant","weight":0,"content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"A"}]}"#
        let (anthropic, account) = try messages(blocks, #"{"role":"user","content":"and?"}"#, Self.done)
        #expect(anthropic?.steps.map(\.isLearned) == [false, nil])
        #expect(account.unread.isEmpty)
        let (swift, _) = try messages(
            #"{"role":"tool_call","content":"{\"name\":\"w\",\"arguments\":{}}","loss":false}"#,
            #"{"role":"tool_response","content":"ok"}"#, Self.done)
        #expect(swift?.steps.map(\.isLearned) == [false, nil])
    }

    @Test(
        "calls are read as a list, as one object, and as the text of either",
        arguments: ["[CALL]", "CALL", "TEXT[CALL]", "TEXTCALL"])
    func callForms(form: String) throws {
        var calls = form.replacing("TEXT", with: "").replacing("CALL", with: Self.call)
        if form.hasPrefix("TEXT") { calls = JSONValue.string(calls).jsonText }
        let (trajectory, account) = try messages(
            #"{"role":"assistant","content":"","tool_calls":\#(calls)}"#, Self.sunny, Self.done)
        #expect(trajectory?.steps.first?.action == .toolCall(name: "w", arguments: ["city": "A"]))
        #expect(account.rejections.isEmpty)
    }

    @Test("calls that are neither are refused")
    func spoiltCalls() throws {
        for calls in [#""not JSON""#, "5"] {
            let (trajectory, account) = try messages(#"{"role":"assistant","content":"","tool_calls":\#(calls)}"#)
            #expect(trajectory == nil)
            #expect(account.rejections.first?.reason.hasPrefix("'tool_calls' is") == true)
        }
    }

    @Test("instructions in blocks are kept, and tools that are null do not hide the functions")
    func members() throws {
        let (trajectory, account) = try messages(
            Self.done,
            rest: #","system":[{"type":"text","text":"You are a bank.","cache_control":{"type":"ephemeral"}}],"#
                + #""tools":null,"functions":[{"name":"w","parameters":{}}]"#)
        #expect(trajectory?.task.metadata["system"] == "You are a bank.")
        #expect(trajectory?.task.tools.map(\.name) == ["w"])
        #expect(account.unread.isEmpty)
        #expect(try messages(Self.done, rest: #","system":5"#).1.rejections.first?.reason.contains("'system'") == true)
    }

    @Test("pictures beside the messages leave the record out by name")
    func images() throws {
        #expect(
            try messages(Self.done, rest: #","images":["a.png"]"#).1.rejections.first?.reason.contains("'images'")
                == true)
        #expect(try messages(Self.done, rest: #","images":[]"#).1.rejections.isEmpty)
        let shareGPT = try read(
            #"{"conversations":[{"from":"human","value":"<image>"},{"from":"gpt","value":"cat"}],"images":["a.png"]}"#)
        #expect(shareGPT.trajectories.isEmpty)
    }

    @Test("a call without a result is told, whatever follows it")
    func unanswered() throws {
        let (_, account) = try messages(
            #"{"role":"assistant","content":null,"tool_calls":[\#(Self.call),\#(Self.call.replacing("\"c\"", with: "\"d\""))]}"#,
            Self.sunny, Self.done)
        #expect(account.repairs["calls without a result"] == [1])
    }

    @Test("what the user says after the last turn is told")
    func lastWords() throws {
        let (trajectory, account) = try messages(Self.done, #"{"role":"user","content":"thanks"}"#)
        #expect(trajectory?.answer == "done")
        #expect(account.unread["what the user said after the model's last turn"] == [1])
    }

    @Test("results in the user's place are results, as Qwen's chat template writes them")
    func responses() throws {
        let calls = #"<tool_call>\n{\"name\":\"w\",\"arguments\":{}}\n</tool_call>"#
        let (trajectory, account) = try messages(
            #"{"role":"assistant","content":"\#(calls)\n\#(calls)"}"#,
            #"{"role":"user","content":"<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response>\nGo on."}"#,
            Self.done)
        #expect(trajectory?.steps.map(\.observation.text) == ["one", "two", ""])
        #expect(trajectory?.steps.last?.remarks == ["Go on."])
        #expect(account.repairs["calls without a result"] == nil)
    }

    @Test(
        "calls after the marks of Mistral and Llama are calls",
        arguments: [
            #"[TOOL_CALLS] [{\"name\": \"w\", \"arguments\": {\"city\": \"A\"}}]</s>"#,
            #"<|python_tag|>{\"name\": \"w\", \"parameters\": {\"city\": \"A\"}}<|eom_id|>"#,
        ])
    func specials(text: String) throws {
        let (trajectory, _) = try messages(
            #"{"role":"assistant","content":"\#(text)"}"#, #"{"role":"tool","content":"sunny"}"#, Self.done)
        #expect(trajectory?.steps.first?.action == .toolCall(name: "w", arguments: ["city": "A"]))
        #expect(trajectory?.steps.first?.observation.text == "sunny")
        let (_, account) = try messages(#"{"role":"assistant","content":"[TOOL_CALLS] none"}"#)
        #expect(account.rejections.first?.reason.contains("[TOOL_CALLS]") == true)
    }

    @Test("a thought that the prompt opened ends at its closing mark")
    func openThought() throws {
        let (trajectory, _) = try messages(#"{"role":"assistant","content":"I think.\n</think>\n\nParis"}"#)
        #expect(trajectory?.answer == "Paris")
        #expect(trajectory?.steps.first?.thought == "I think.")
    }

    @Test("what a model says after a result of the provider's own tools is its next turn")
    func providerTools() throws {
        let (trajectory, account) = try messages(
            #"{"role":"assistant","content":[{"type":"text","text":"I search."},"#
                + #"{"type":"server_tool_use","id":"t1","name":"web_search","input":{"query":"A"}},"#
                + #"{"type":"web_search_tool_result","tool_use_id":"t1","content":["found"]},{"type":"text","text":"It is A."}]}"#
        )
        #expect(trajectory?.steps.map(\.thought) == ["I search.", ""])
        #expect(trajectory?.steps.first?.action == .toolCall(name: "web_search", arguments: ["query": "A"]))
        #expect(trajectory?.answer == "It is A.")
        #expect(account.rejections.isEmpty)
    }

    @Test("a turn with a picture that was taken back leaves the later run as it is")
    func rolledBack() throws {
        func item(_ payload: String) -> String { #"{"timestamp":"t","type":"response_item","payload":\#(payload)}"# }
        func user(_ content: String) -> String { item(#"{"type":"message","role":"user","content":[\#(content)]}"#) }
        func model(_ text: String) -> String {
            item(#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"\#(text)"}]}"#)
        }
        let log = [
            #"{"timestamp":"t","type":"session_meta","payload":{"id":"s"}}"#,
            user(#"{"type":"input_text","text":"One?"}"#), model("1"),
            user(#"{"type":"input_text","text":"See:"},{"type":"input_image","image_url":"x"}"#), model("cat"),
            #"{"timestamp":"t","type":"event_msg","payload":{"type":"thread_rolled_back","num_turns":1}}"#,
            user(#"{"type":"input_text","text":"Two?"}"#), model("2"),
        ]
        let (trajectories, account) = try read(log.joined(separator: "\n"))
        #expect(account.rejections.count == 1)
        #expect(trajectories.map(\.answer) == ["2"])
        #expect(trajectories.first?.steps.map(\.action) == [.answer("1"), .answer("2")])
    }

    @Test("an API's reply that is no JSON stays what it said")
    func plainReply() throws {
        let (trajectories, _) = try read(
            #"{"answer_generation":{"function":[],"query":"Q?","train_messages":[[{"role":"user","content":"Q?"},"#
                + #"{"role":"assistant","content":"t","function_call":{"name":"getw","arguments":"{}"}},"#
                + #"{"role":"function","name":"getw","content":"plain text"},{"role":"assistant","content":null,"#
                + #""function_call":{"name":"Finish","arguments":"{\"return_type\": \"give_answer\", \"final_answer\": \"A\"}"}}]]}}"#,
            "a.json")
        #expect(trajectories.first?.steps.first?.observation.text == "plain text")
    }
}
