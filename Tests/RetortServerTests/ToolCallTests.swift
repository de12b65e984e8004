import RetortCore
import Testing

@testable import RetortServer

@Suite("Tool calls as text")
struct ToolCallTests {
    private let written =
        "I look.\n<tool_call>\n{\"name\": \"search\", \"arguments\": {\"z\": 1, \"a\": [true]}}\n</tool_call>"

    @Test("what is written is read back, members in their order")
    func roundTrip() throws {
        let (text, calls) = ToolCallText.read(written)
        #expect(text == "I look.")
        #expect(calls == [.init(name: "search", arguments: #"{"z": 1, "a": [true]}"#)])
        let sent = try JSONTree.parse(
            Array(
                ##"[{"id": "1", "type": "function", "function": {"name": "search", "arguments": "{\"z\": 1, \"a\": [true]}"}}]"##
                    .utf8))
        #expect("I look.\n" + (try ToolCallText.write(sent.array ?? [], at: "")) == written)
    }

    @Test(
        "what is no call stays text",
        arguments: [
            "plain", "<tool_call>not JSON</tool_call>", "<tool_call>{\"name\": 3}</tool_call>",
            "<tool_call>{\"name\": \"f\", \"arguments\": \"x\"}</tool_call>", "a <tool_cal", "<tool_call>",
        ])
    func text(text: String) {
        #expect(ToolCallText.read(text) == (text, []))
    }

    @Test("a stream shows no part of a call, however it is cut", arguments: 1...9)
    func hold(size: Int) {
        var hold = ToolCallHold()
        var shown = ""
        var rest = written[...]
        while !rest.isEmpty {
            shown += hold.push(String(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        let end = hold.finish()
        #expect(shown + end.text == "I look.\n")
        #expect(end.calls.map(\.name) == ["search"])
        var other = ToolCallHold()
        let text = "1 < 2 and <tool> stays"
        #expect(text.map { other.push(String($0)) }.joined() + other.finish().text == text)
    }
}

private func == (left: (text: String, calls: [ToolCallText.Call]), right: (String, [ToolCallText.Call])) -> Bool {
    left.text == right.0 && left.calls == right.1
}
