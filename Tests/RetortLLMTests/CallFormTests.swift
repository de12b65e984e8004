import Foundation
import RetortCore
import Testing

@testable import RetortLLM

/// What chat templates tell of a model's replies, and what they are told.
@Suite("Calls and thoughts in chat templates")
struct CallFormTests {
    private let tokenizer: Tokenizer

    init() throws { tokenizer = try Tokenizer(seedlings.appendingPathComponent("tokenizer")) }

    private func template(_ source: String) throws -> JinjaTemplate {
        try JinjaTemplate(source, tokenizer: tokenizer, date: Date(timeIntervalSince1970: 0))
    }

    /// ChatML whose assistant writes calls in this way.
    private func writing(_ calls: String, thinks: Bool = false) throws -> JinjaTemplate {
        try template(
            """
            {% for m in messages %}<|im_start|>{{ m.role }}
            {{ m.content }}{% if m.tool_calls %}\(calls){% endif %}<|im_end|>
            {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
            \(thinks ? "<think>\n" : ""){% endif %}
            """)
    }

    private static let all = "{% for c in m.tool_calls %}"
    private static let forms: [(String, ToolCallForm?)] = [
        (
            all
                + #"<tool_call>{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}</tool_call>{% endfor %}"#,
            .tagged
        ),
        (
            #"{"name": "{{ m.tool_calls[0].function.name }}", "parameters": {{ m.tool_calls[0].function.arguments | tojson }}}"#,
            .parameters
        ),
        (
            #"<|python_tag|>{{ {"name": m.tool_calls[0].function.name, "parameters": {"k6": "v7w"}} | tojson }}"#,
            .parameters
        ),
        (
            all + #"<function={{ c.function.name }}>{{ c.function.arguments | tojson }}</function>{% endfor %}"#,
            .function
        ),
        (
            #"[TOOL_CALLS][{% for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception('9') }}{% endif %}"#
                + #"{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}, "id": "{{ c.id }}"}{% endfor %}]"#,
            .list
        ),
        (all + "[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}{% endfor %}", .named),
        (
            all
                + #"<|tool_call|>[{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}]<|/tool_call|>{% endfor %}"#,
            .piped
        ),
        (
            all + #"{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}{% endfor %}"#,
            .object
        ),
        (
            all
                + "```json\n{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}\n```{% endfor %}",
            .fenced
        ),
        (
            all + "<tool_call>\n<function={{ c.function.name }}>\n{% for k, v in c.function.arguments.items() %}"
                + "<parameter={{ k }}>\n{{ v }}\n</parameter>\n{% endfor %}</function>\n</tool_call>{% endfor %}",
            .elements
        ),
        (all + "call {{ c.function.name }} with {{ c.function.arguments.k6 }}{% endfor %}", nil),
    ]

    @Test("the form of calls is the one that the template writes", arguments: forms)
    func form(calls: String, form: ToolCallForm?) throws {
        #expect(try writing(calls).callForm == form)
    }

    @Test(
        "published templates",
        arguments: [
            ("qwen2.5", ToolCallForm.tagged), ("qwen3", .tagged), ("like-llama-3", .parameters), ("like-llama-2", nil),
        ] as [(String, ToolCallForm?)])
    func published(name: String, form: ToolCallForm?) throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Templates/\(name).jinja")
        // Of the markers only that they are special matters here.
        var source = try String(contentsOf: file, encoding: .utf8)
        for mark in ["<|eot_id|>", "</s>"] { source = source.replacing(mark, with: "<|im_end|>") }
        source = source.replacing("eos_token", with: "'<|im_end|>'")
        #expect(try template(source).callForm == form)
    }

    @Test("calls of a chat are written in the template's form, and as tagged text where it has none")
    func written() throws {
        let calls = #"[{"type": "function", "function": {"name": "f", "arguments": {"b": 1, "a": 2}}}]"#
        let chat = [
            Message(.user, "q"), Message(role: .assistant, spans: [.init("")], details: .init(calls: calls)),
            Message(.tool, "r"),
        ]
        func text(_ template: any ChatTemplate) throws -> String {
            tokenizer.decode(try template.render(chat, then: .nothing, with: tokenizer).tokens)
        }
        #expect(try text(writing(Self.forms[1].0)).contains(#"{"name": "f", "parameters": {"b": 1, "a": 2}}"#))
        let tagged = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\": 1, \"a\": 2}}\n</tool_call>"
        #expect(try text(writing("")).contains(tagged))
        #expect(try text(TurnTemplate(tokenizer)).contains(tagged))
    }

    @Test("a template is told what it asks for, and refuses the rest unless it is false or empty")
    func arguments() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Templates/qwen3.jinja")
        let qwen = try template(String(contentsOf: file, encoding: .utf8))
        func prompt(_ template: any ChatTemplate) throws -> String {
            tokenizer.decode(try template.render([Message(.user, "q")], then: .generation(), with: tokenizer).tokens)
        }
        #expect(try !prompt(qwen).contains("<think>"))
        #expect(try prompt(qwen.told(#"{"enable_thinking": false}"#)).hasSuffix("<think>\n\n</think>\n\n"))
        #expect(try !prompt(qwen.told(#"{"enable_thinking": true}"#)).contains("<think>"))
        #expect(throws: ChatTemplateError.arguments("reasoning_effort")) {
            try qwen.told(#"{"reasoning_effort": "high"}"#)
        }
        _ = try qwen.told(#"{"reasoning_effort": "", "other": false, "more": null}"#)
        let turns = try TurnTemplate(tokenizer)
        #expect(throws: ChatTemplateError.arguments("enable_thinking")) {
            try turns.told(#"{"enable_thinking": true}"#)
        }
        _ = try turns.told(#"{"enable_thinking": false}"#)
        #expect(throws: ChatTemplateError.self) { try turns.told("[1]") }
        // With tools, too.
        let both = try qwen.told(#"{"enable_thinking": false}"#).offering(#"[{"type": "function"}]"#)
        #expect(try prompt(both).hasSuffix("</think>\n\n"))
    }

    @Test("whether a prompt ends inside of a thought")
    func opensThought() throws {
        #expect(try writing("", thinks: true).opensThought)
        #expect(try !writing("").opensThought)
        #expect(try !writing("<think>").opensThought)
    }
}

@Suite("How a model's makers draw its tokens")
struct DrawingSettingsTests {
    private func settings(_ json: String) throws -> DrawingSettings {
        let folder = try ScratchFolder()
        try Data(json.utf8).write(to: folder.url.appendingPathComponent("generation_config.json"))
        return try DrawingSettings(CheckpointFolders(folder.url))
    }

    @Test("temperature, top_p and top_k are read; what is not followed is named")
    func read() throws {
        // As published with Qwen2.5-Instruct and Llama 3.2.
        let qwen = try settings(
            """
            {"bos_token_id": 151643, "pad_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
             "repetition_penalty": 1.1, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "transformers_version": "4.37.0"}
            """)
        #expect(qwen.sampling == SamplingDefaults(temperature: 0.7, topP: 0.8, topK: 20))
        #expect(qwen.note?.contains("repetition_penalty 1.1 is not followed") == true)
        let llama = try settings(
            """
            {"bos_token_id": 128000, "do_sample": true, "eos_token_id": [128001, 128008, 128009], "temperature": 0.6,
             "top_p": 0.9, "transformers_version": "4.45.0.dev0", "repetition_penalty": 1.0, "min_p": null}
            """)
        #expect(llama.sampling == SamplingDefaults(temperature: 0.6, topP: 0.9))
        #expect(llama.note == nil)
        let odd = try settings(#"{"min_p": 0.1, "suppress_tokens": [3], "something_new": 1, "top_k": -1}"#)
        #expect(odd.unheeded == ["min_p 0.1", "something_new 1", "suppress_tokens [3]"])
        #expect(odd.sampling.topK == 0)
    }

    @Test("values that are no such numbers are refused", arguments: ["\"temperature\": \"hot\"", "\"top_p\": 2"])
    func malformed(member: String) {
        #expect(throws: CheckpointError.self) { try settings("{\(member)}") }
    }

    @Test("without a file nothing is said")
    func none() throws {
        let folder = try ScratchFolder()
        let settings = try DrawingSettings(CheckpointFolders(folder.url))
        #expect(settings.sampling == SamplingDefaults() && settings.note == nil)
    }
}
