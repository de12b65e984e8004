import RetortCore
import Testing

@testable import RetortServer

@Suite("Tool calls as text")
struct ToolCallTests {
    private let written =
        "I look.\n<tool_call>\n{\"name\": \"search\", \"arguments\": {\"z\": 1, \"a\": [true]}}\n</tool_call>"
    private let reader = ToolCallReader(names: ["search", "sum"])

    @Test("what is written is read back, members in their order")
    func roundTrip() throws {
        let (text, read) = reader.read(written)
        #expect(text == "I look.")
        #expect(read == [.init(name: "search", arguments: #"{"z": 1, "a": [true]}"#)])
        let calls =
            #"[{"id": "1", "type": "function", "function": {"name": "search", "arguments": {"z": 1, "a": [true]}}}]"#
        let sent = Message(role: .assistant, spans: [.init("I look.")], details: .init(calls: calls))
        #expect(sent.withCallsAsText.text == written)
    }

    @Test(
        "what is no call stays text",
        arguments: [
            "plain", "<tool_call>not JSON</tool_call>", "<tool_call>{\"name\": 3}</tool_call>",
            "<tool_call>{\"name\": \"f\", \"arguments\": \"x\"}</tool_call>", "a <tool_cal", "<tool_call>",
            #"{"name": "Alice", "arguments": {}}"#, #"{"name": "search"}"#, #"{"search": 1}"#, "[1, 2]", "[TOOL_CALLS]",
            "```python\nprint({})\n```", "```json\n{\"name\": \"search\", \"arguments\": {}}\n```\nThat is a call.",
            #"See {"name": "search", "arguments": {}}"#,
        ])
    func text(text: String) {
        #expect(reader.read(text) == (text, []))
    }

    @Test(
        "calls are read in the forms of several families of models",
        arguments: [
            (#"{"name": "search", "parameters": {"q": "x"}}"#, "", ["search"]),
            (
                #"<|python_tag|>{"name": "search", "parameters": {"q": "x"}}; {"name": "sum", "parameters": {}}"#, "",
                ["search", "sum"]
            ),
            (#"<function=search>{"q": "x"}</function>"#, "", ["search"]),
            (
                #"[TOOL_CALLS][{"name": "search", "arguments": {"q": "x"}}, {"name": "sum", "arguments": {}}]"#, "",
                ["search", "sum"]
            ),
            (#"[TOOL_CALLS]search[ARGS]{"q": "x"}[TOOL_CALLS]sum[ARGS]{}"#, "", ["search", "sum"]),
            (#" [{"name": "search", "arguments": {"q": "x"}}]"#, "", ["search"]),
            ("Sure:\n```json\n{\"name\": \"search\", \"arguments\": {\"q\": \"x\"}}\n```", "Sure:", ["search"]),
            (
                "```json\n{\"a\": 1}\n```\n<tool_call>{\"name\": \"search\", \"arguments\": {\"q\": \"x\"}}</tool_call>",
                "```json\n{\"a\": 1}\n```", ["search"]
            ),
            (#"{"name": "search", "arguments": "{\"q\": \"x\"}"}"#, "", ["search"]),
            (
                "<tool_call>{\"name\": \"search\", \"arguments\": {\"q\": \"x\"}}</tool_call>\n<tool_call>{\"name\": \"sum\", \"arguments\": {}}</tool_call>",
                "", ["search", "sum"]
            ),
        ])
    func forms(text: String, before: String, names: [String]) {
        let read = reader.read(text)
        #expect(read.text == before)
        #expect(read.calls.map(\.name) == names)
        #expect(read.calls.first?.arguments == #"{"q": "x"}"#)
        // However it comes, a stream shows the same and calls the same.
        for size in [1, 3, 1000] {
            let (shown, calls) = streamed(text, size)
            #expect(calls.map(\.name) == names)
            #expect(String(shown.reversed().drop(while: \.isWhitespace).reversed()) == before)
        }
    }

    @Test(
        "arguments may hold any mark, an accent at their beginning, or a quotation mark",
        arguments: [
            "</tool_call>", "<tool_call>", "x</tool_call><tool_call>{}", "</function>", "<function=sum>",
            "[TOOL_CALLS]", "<|/tool_call|>", "```", "\u{301}</tool_call>", "\"}</tool_call>\\", "}]</function>```",
        ])
    func marks(value: String) throws {
        let arguments = JSONTree.object(named: [("q", .string(Array(value.utf8)))]).text
        let object = #"{"name": "search", "arguments": \#(arguments)}"#
        let more = #"{"name": "sum", "arguments": {}}"#
        for (text, names) in [
            ("<tool_call>\n\(object)\n</tool_call>", ["search"]),
            ("<tool_call>\(object)</tool_call>\n<tool_call>\(more)</tool_call>", ["search", "sum"]),
            ("<tool_call>\n\(object)", ["search"]),
            ("<function=search>\(arguments)</function><function=sum>{}</function>", ["search", "sum"]),
            ("[TOOL_CALLS][\(object), \(more)]", ["search", "sum"]),
            ("[TOOL_CALLS]search[ARGS]\(arguments)[TOOL_CALLS]sum[ARGS]{}", ["search", "sum"]),
            ("<|tool_call|>[\(object)]<|/tool_call|>", ["search"]),
            ("```json\n\(object)\n```", ["search"]), ("[\(object), \(more)]", ["search", "sum"]),
        ] {
            for calls in [reader.read(text).calls, streamed(text, 1).1, streamed(text, 7).1] {
                #expect(calls.map(\.name) == names, "\(text)")
                let read = try JSONTree.parse(Array((calls.first?.arguments ?? "{}").utf8))
                #expect(read["q"]?.bytes == Array(value.utf8), "\(text)")
            }
        }
    }

    private func streamed(_ text: String, _ size: Int) -> (String, [ToolCallText.Call]) {
        var hold = ToolCallHold(reader)
        var shown = ""
        var rest = text[...]
        while !rest.isEmpty {
            shown += hold.push(String(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        let end = hold.finish()
        return (shown + end.text, end.calls)
    }

    @Test("a stream shows no part of a call, however it is cut", arguments: 1...9)
    func hold(size: Int) {
        let (shown, calls) = streamed(written, size)
        #expect(shown == "I look.\n")
        #expect(calls.map(\.name) == ["search"])
        for text in [
            "1 < 2 and <tool> stays", "a list [1] and {2} in `code` ``x``", "```swift\nlet a = 1\n```\n[TOOL]",
        ] {
            #expect(streamed(text, size) == (text, []))
        }
    }

    @Test("a call that must be made has one of the names and arguments that are valid")
    func forced() throws {
        let schema = try JSONSchema([
            "type": "object", "properties": ["n": ["type": "integer"]], "required": ["n"],
            "additionalProperties": false,
        ])
        let grammar = ToolCallText.grammar([("search", schema), ("a\"b", .anyObject)], as: .tagged)
        func accepts(_ text: String) throws -> Bool {
            var matcher = try GrammarMatcher(grammar)
            return matcher.advance(text.utf8) && matcher.isExhausted
        }
        #expect(try accepts("<tool_call>\n{\"name\": \"search\", \"arguments\": {\"n\": 3}}\n</tool_call>"))
        #expect(try accepts("<tool_call>\n{\"name\": \"a\\\"b\", \"arguments\": {}}\n</tool_call>"))
        #expect(try !accepts("<tool_call>\n{\"name\": \"search\", \"arguments\": {}}\n</tool_call>"))
        #expect(try !accepts("<tool_call>\n{\"name\": \"sum\", \"arguments\": {}}\n</tool_call>"))
    }
}

/// The model's chat template decides which marks begin a call.
@Suite("Calls in the form of the chat template")
struct ToolCallFormTests {
    static let forms: [(form: ToolCallForm, written: String)] = [
        (.tagged, "<tool_call>\n{\"name\": \"search\", \"arguments\": {\"q\": \"x\"}}\n</tool_call>"),
        (.parameters, #"{"name": "search", "parameters": {"q": "x"}}"#),
        (.parameters, #"<|python_tag|>{"name": "search", "parameters": {"q": "x"}}"#),
        (.function, #"<function=search>{"q": "x"}</function>"#),
        (.list, #"[TOOL_CALLS][{"name": "search", "arguments": {"q": "x"}}]"#),
        (.named, #"[TOOL_CALLS]search[ARGS]{"q": "x"}"#),
        (.piped, #"<|tool_call|>[{"name": "search", "arguments": {"q": "x"}}]<|/tool_call|>"#),
        (.object, #"{"name": "search", "arguments": {"q": "x"}}"#),
        (.fenced, "```json\n{\"name\": \"search\", \"arguments\": {\"q\": \"x\"}}\n```"),
        (.elements, "<tool_call>\n<function=search>\n<parameter=q>\nx\n</parameter>\n</function>\n</tool_call>"),
    ]

    private func streamed(_ text: String, _ reader: ToolCallReader, _ size: Int) -> (String, [ToolCallText.Call]) {
        var hold = ToolCallHold(reader)
        var (shown, rest) = ("", text[...])
        while !rest.isEmpty {
            shown += hold.push(String(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        let end = hold.finish()
        return (shown + end.text, end.calls)
    }

    @Test("a template's own form is read, whole and however it comes", arguments: forms)
    func own(form: ToolCallForm, written: String) {
        let reader = ToolCallReader(names: ["search"], form: form)
        let call = ToolCallText.Call(name: "search", arguments: #"{"q": "x"}"#)
        #expect(reader.read(written).calls == [call])
        for size in [1, 2, 7, 1000] { #expect(streamed(written, reader, size) == ("", [call])) }
    }

    @Test("behind a sentence the marks of another family are text")
    func others() {
        for (form, _) in Self.forms {
            let reader = ToolCallReader(names: ["search"], form: form)
            for (other, written) in Self.forms where other != form {
                let isKin = [form, other].allSatisfy { [.list, .named].contains($0) }
                let isLlama = form == .parameters && other == .function
                // Elements stand between the tags of the one, and have the beginning of the other.
                let isQwen = form == .elements && [.tagged, .function].contains(other)
                let text = "As in " + written
                guard !isKin, !isLlama, !isQwen, !written.hasPrefix("{") else { continue }
                #expect(reader.read(text) == (text, []), "\(form) reads \(other)")
                for size in [1, 5] { #expect(streamed(text, reader, size) == (text, []), "\(form) reads \(other)") }
            }
        }
    }

    @Test("whatever the form, an object or a fence is a call as the whole reply, and only of an offered tool")
    func bare() {
        for form in ToolCallForm.allCases {
            let reader = ToolCallReader(names: ["search"], form: form)
            for text in [
                #"{"name": "search", "arguments": {}}"#, "```json\n{\"name\": \"search\", \"arguments\": {}}\n```",
            ] {
                #expect(reader.read(text).calls.map(\.name) == ["search"], "\(form)")
                let other = text.replacing("search", with: "sum")
                #expect(reader.read(other) == (other, []), "\(form)")
            }
        }
    }

    @Test("a call that must be made is held to the template's form, and read again", arguments: ToolCallForm.allCases)
    func forced(form: ToolCallForm) throws {
        let schema = try JSONSchema(["type": "object", "properties": ["n": ["type": "integer"]], "required": ["n"]])
        var matcher = try GrammarMatcher(ToolCallText.grammar([("search", schema), ("sum", .anyObject)], as: form))
        let texts = [
            ToolCallForm.tagged: "<tool_call>\n{\"name\": \"search\", \"arguments\": {\"n\": 3}}\n</tool_call>",
            .parameters: #"{"name": "search", "parameters": {"n": 3}}"#,
            .function: #"<function=search>{"n": 3}</function>"#,
            .list: #"[{"name": "search", "arguments": {"n": 3}}]"#,
            .named: #"[{"name": "search", "arguments": {"n": 3}}]"#,
            .piped: #"[{"name": "search", "arguments": {"n": 3}}]"#,
            .object: #"{"name": "search", "arguments": {"n": 3}}"#,
            .fenced: "```json\n{\"name\": \"search\", \"arguments\": {\"n\": 3}}\n```",
            .elements: "<tool_call>\n{\"name\": \"search\", \"arguments\": {\"n\": 3}}\n</tool_call>",
        ]
        let text = try #require(texts[form])
        #expect(matcher.advance(text.utf8) && matcher.isExhausted)
        let read = ToolCallReader(names: ["search", "sum"], form: form).read(text)
        #expect(read.calls == [.init(name: "search", arguments: #"{"n": 3}"#)])
    }
}

@Suite("Calls whose arguments stand in elements")
struct ToolCallElementsTests {
    private func reader(_ properties: String, form: ToolCallForm? = .elements) throws -> ToolCallReader {
        let schema = #"{"type": "object", "properties": {\#(properties)}, "$defs": {"P": {"type": "object"}}}"#
        var reader = ToolCallReader(names: ["put"], form: form)
        reader.parameters = ["put": try JSONTree.parse(Array(schema.utf8))]
        return reader
    }

    @Test(
        "a value is what the schema of its parameter says",
        arguments: [
            (#"{"type": "string"}"#, "7", #""7""#), (#"{"type": "integer"}"#, "7", "7"), ("{}", "7", #""7""#),
            (#"{"type": "number"}"#, "2.50", "2.50"), (#"{"type": "boolean"}"#, "True", "true"),
            (#"{"type": "boolean"}"#, "false", "false"), (#"{"type": "integer"}"#, "many", #""many""#),
            (#"{"type": ["string", "null"]}"#, "None", "null"), (#"{"type": "string"}"#, "None", #""None""#),
            (#"{"anyOf": [{"type": "integer"}, {"type": "null"}]}"#, "null", "null"), ("{}", "[1, 2]", "[1, 2]"),
            (#"{"type": "array"}"#, "[\n 1,\n 2\n]", "[1, 2]"),
            (##"{"$ref": "#/$defs/P"}"##, #"{"a": 1}"#, #"{"a": 1}"#),
            (#"{"enum": [1, 2]}"#, "2", "2"), (#"{"enum": ["1", "2"]}"#, "2", #""2""#),
            (#"{"type": "string"}"#, #"{"a": 1}"#, #""{\"a\": 1}""#), (#"{"type": "string"}"#, "", #""""#),
            (#"{"type": "string"}"#, "\na \"b\n\n", #""\na \"b\n\n""#),
        ])
    func values(schema: String, written: String, value: String) throws {
        let text = "<tool_call>\n<function=put>\n<parameter=v>\n\(written)\n</parameter>\n</function>\n</tool_call>"
        #expect(
            try reader(#""v": \#(schema)"#).read(text).calls == [.init(name: "put", arguments: #"{"v": \#(value)}"#)])
    }

    @Test(
        "texts may hold marks, calls may lack the outer tag, and several are read",
        arguments: [.elements, nil] as [ToolCallForm?])
    func several(form: ToolCallForm?) throws {
        let reader = try reader(#""a": {"type": "string"}, "b": {"type": "integer"}"#, form: form)
        let code = "x = {'</parameter>': \"</tool_call>\"}"
        let text =
            "I put two.\n<function=put>\n<parameter=a>\n\(code)\n</parameter>\n<parameter=b>\n1\n</parameter>\n</function>\n</tool_call>"
            + "\n<tool_call><function=put><parameter=b>2</parameter></function></tool_call>\n<tool_call>\n<function=put>\n</function>"
        let read = reader.read(text)
        #expect(read.text == "I put two.")
        #expect(
            read.calls.map(\.arguments) == [
                #"{"a": "x = {'</parameter>': \"</tool_call>\"}", "b": 1}"#, #"{"b": 2}"#, "{}",
            ])
    }

    @Test("what is cut off, or names a parameter twice, stays text")
    func broken() throws {
        for text in [
            "<tool_call>\n<function=put>\n<parameter=a>\nx", "<function=put",
            "<function=put>\n<parameter=a>\n1\n</parameter>", "<tool_call>\n<function=>\n</function>",
            "<function=put><parameter=a>1</parameter><parameter=a>2</parameter></function>",
        ] {
            #expect(try reader("").read(text) == (text, []))
        }
    }
}

@Suite("Thoughts of reasoning models")
struct ThoughtTests {
    @Test(
        "thoughts at the beginning are kept apart, however they come",
        arguments: [
            ("<think>\nHm.\n</think>\n\nYes.", "Hm.\n", "Yes."),
            ("Yes. <think>no</think>", "", "Yes. <think>no</think>"),
            ("  <think>cut", "cut", ""), ("<thin", "", "<thin"), ("<think></think>x", "", "x"), ("", "", ""),
            ("<think>a </thin b</think> c", "a </thin b", "c"),
        ])
    func split(text: String, thought: String, said: String) {
        for size in [1, 2, 5, 100] {
            var splitter = ThoughtSplitter(prefill: "")
            var (first, second) = ("", "")
            var rest = text[...]
            while !rest.isEmpty {
                let part = splitter.push(String(rest.prefix(size)))
                first += part.thought
                second += part.said
                rest = rest.dropFirst(size)
            }
            let end = splitter.finish()
            #expect(first + end.thought == thought)
            #expect(second + end.said == said)
        }
    }

    @Test("a reply that goes on from a thought begins in it")
    func prefill() {
        var open = ThoughtSplitter(prefill: "<think>\nFirst")
        let first = open.push(" then</think>x")
        #expect(first == (" then", "x"))
        // The prompt itself may open the thought.
        var begun = ThoughtSplitter(prefill: "<think>")
        let thought = begun.push("\nHm.</think>\n\nx")
        #expect(thought == ("Hm.", "x"))
        var closed = ThoughtSplitter(prefill: "<think>a</think> So")
        let second = closed.push(" <think>")
        #expect(second == ("", " <think>"))
    }
}

private func == (left: (text: String, calls: [ToolCallText.Call]), right: (String, [ToolCallText.Call])) -> Bool {
    left.text == right.0 && left.calls == right.1
}
