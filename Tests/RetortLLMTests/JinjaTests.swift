import Foundation
import RetortCore
import RetortLLM
import Testing

private let chatML = """
    {% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
    """

@Suite("Chat templates in Jinja")
struct JinjaTests {
    private let tokenizer: Tokenizer

    init() throws { tokenizer = try Tokenizer(seedlings.appendingPathComponent("tokenizer")) }

    /// What an expression writes. The template still ends turns, as every chat template must.
    private func written(_ expression: String, _ more: String = "") throws -> String {
        // A template is tried without a chat's own variables first.
        let guarded = more.isEmpty ? expression : "{% if x is defined %}\(expression){% endif %}"
        let template = try JinjaTemplate("\(guarded)\u{1}" + chatML, tokenizer: tokenizer)
        let text = try template.text(json: Data(#"{"messages":[]\#(more)}"#.utf8))
        return String(text.prefix { $0 != "\u{1}" })
    }

    @Test(
        "expressions mean what they mean in Jinja",
        arguments: [
            ("{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }}", "3 -4 2"), ("{{ 1 < 2 <= 2 and not false }}", "True"),
            ("{{ 'abc'[::-1] }}{{ 'abc'[-2:] }}", "cbabc"), ("{{ ['a', 1, none, true] }}", "['a', 1, None, True]"),
            ("{{ missing | default('d') }} {{ missing is defined }}", "d False"),
            ("{{ {'b': [1, 'é\"']} | tojson }}", #"{"b": [1, "é\""]}"#),
            ("{{ ' a,b ' | trim | upper }}{{ 'a-b-c'.rsplit('-', 1)[0] }}", "A,Ba-b"),
            (
                "{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
                "10"
            ),
            ("{% for x in [1, 2, 3] if x != 2 %}{{ x }}{{ ',' if not loop.last }}{% endfor %}", "1,3"),
            ("{% macro m(a, b='!') %}{{ a }}{{ b }}{% endmacro %}{{ m('x') }}{{ m('y', b='?') }}", "x!y?"),
            ("a  {%- if true %} b {% endif -%}  c", "a b c"), ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
            (
                "{{ (-9223372036854775807 - 1) | abs }} {{ (-9223372036854775807 - 1) is divisibleby(-1) }}",
                "9223372036854775808 True"
            ),
            ("{{ range(0, 9223372036854775807, 9223372036854775806) | list | length }} {{ 2 ** -1 }}", "2 0.5"),
            ("{{ 'abc'[0:9223372036854775807:9223372036854775807] }}", "a"),
            ("{# nothing #}{{ 'l' ~ 1 ~ 2.0 }}", "l12.0"),
            (
                "{{ ['\u{7}\u{a0}\u{2028}é\u{200b}\u{e0001}\u{1F600}'] }}",
                #"['\x07\xa0\u2028é\u200b\U000e0001"# + "\u{1F600}']"
            ),
            ("{{ {'a': {'b': [1]}} }}{% set d = {'a': {'b': 2}} %}{{ d.a.b }}", "{'a': {'b': [1]}}2"),
        ])
    func language(template: String, expected: String) throws {
        #expect(try written(template) == expected)
    }

    @Test(
        "tojson takes what transformers' does, in its order",
        arguments: [
            ("{{ {'b': 'é😀'} | tojson(ensure_ascii=true) }}", #"{"b": "\u00e9\ud83d\ude00"}"#),
            ("{{ {'b': 'é'} | tojson(true) }}", #"{"b": "\u00e9"}"#),
            ("{{ {'b': [1, 2], 'a': none} | tojson(sort_keys=true) }}", #"{"a": null, "b": [1, 2]}"#),
            ("{{ {'b': [1, 2]} | tojson(separators=(',', ':')) }}", #"{"b":[1,2]}"#),
            ("{{ [1, {'a': 2}] | tojson(indent=2) }}", "[\n  1,\n  {\n    \"a\": 2\n  }\n]"),
            ("{{ [1] | tojson(indent='--') }}", "[\n--1\n]"), ("{{ [1, 2] | tojson(indent=0) }}", "[\n1,\n2\n]"),
            ("{{ [1, 2] | tojson(false, none, ['; ', '=']) }}", "[1; 2]"),
            ("{{ [1.5, 2.0, true, '\u{7F}\u{2}'] | tojson }}", "[1.5, 2.0, true, \"\u{7F}\\u0002\"]"),
        ])
    func json(template: String, expected: String) throws {
        #expect(try written(template) == expected)
    }

    @Test(
        "tojson refuses what Python's would",
        arguments: [
            "{{ [1] | tojson(colour=1) }}", "{{ [1] | tojson(separators='x') }}", "{{ missing | tojson }}",
            "{{ [1] | tojson(true, none, none, false, 1) }}", "{{ [1] | tojson(true, ensure_ascii=true) }}",
        ])
    func badJSON(template: String) { #expect(throws: JinjaError.self) { try written(template) } }

    @Test(
        "whole numbers of any size stay what they are",
        arguments: [
            ("{{ x | tojson }} {{ x }}", "18446744073709551616 18446744073709551616"),
            ("{{ x is integer }} {{ x is number }} {{ x is float }}", "True True False"),
            ("{{ x > 3 }} {{ x == x }} {{ x == y }} {{ x < y }}", "True True False True"),
            (
                "{{ -x }} {{ x | string | length }} {{ '36893488147419103232' | int }}",
                "-18446744073709551616 20 36893488147419103232"
            ),
        ])
    func large(template: String, expected: String) throws {
        #expect(try written(template, #", "x": 18446744073709551616, "y": 18446744073709551617"#) == expected)
    }

    @Test("of two members with one name the last counts, at the first one's place")
    func equalMembers() throws {
        #expect(try written("{{ x | tojson }}", #", "x": {"a": 1, "b": 2, "a": 3}"#) == #"{"a": 3, "b": 2}"#)
    }

    /// A folder with named templates.
    private func named(_ templates: String, in folder: URL) throws -> JinjaTemplate? {
        try Data("{\"chat_template\": \(templates)}".utf8)
            .write(to: folder.appendingPathComponent("tokenizer_config.json"))
        return try JinjaTemplate(folder: folder, tokenizer: tokenizer)
    }

    @Test("a template named tool_use counts where tools are offered, from a list or from files")
    func toolUse() throws {
        let folder = try ScratchFolder()
        func entry(_ name: String, _ mark: String) -> String {
            let text = try? String(
                decoding: JSONEncoder().encode(mark + "{{ tools | length if tools }}" + chatML), as: UTF8.self)
            return "{\"name\": \"\(name)\", \"template\": \(text ?? "")}"
        }
        func check(_ template: JinjaTemplate) throws {
            func text(_ more: String) throws -> String {
                try template.text(json: Data(#"{"messages":[]\#(more)}"#.utf8))
            }
            #expect(try text("") == "plain ")
            #expect(try text(#", "tools": [1, 2]"#) == "tools 2")
            #expect(try text(#", "tools": null"#) == "plain ")
            let offered = try template.offering("[{\"a\": 1}]")
            let tokens = try offered.render([Message(.user, "x")], then: .nothing, with: tokenizer).tokens
            #expect(tokenizer.decode(tokens).hasPrefix("tools 1"))
        }
        try check(
            #require(try named("[\(entry("default", "plain ")), \(entry("tool_use", "tools "))]", in: folder.url)))
        let more = folder.url.appendingPathComponent("additional_chat_templates")
        try FileManager.default.createDirectory(at: more, withIntermediateDirectories: true)
        try Data(("plain {{ tools | length if tools }}" + chatML).utf8)
            .write(to: folder.url.appendingPathComponent("chat_template.jinja"))
        try Data(("tools {{ tools | length if tools }}" + chatML).utf8)
            .write(to: more.appendingPathComponent("tool_use.jinja"))
        try check(#require(try JinjaTemplate(folder: folder.url, tokenizer: tokenizer)))
    }

    @Test("templates of which none is the default are refused by name, and so is what is no template")
    func noDefault() throws {
        let folder = try ScratchFolder()
        let error = #expect(throws: CheckpointError.self) {
            try named(#"[{"name": "rag", "template": "x"}]"#, in: folder.url)
        }
        #expect("\(try #require(error))".contains("rag, and none that is named 'default'"))
        #expect(throws: CheckpointError.self) { try named("[3]", in: folder.url) }
    }

    @Test("a statement alone on its line leaves no blank line")
    func blocks() throws {
        #expect(try written("a\n  {% if true %}\n  b\n  {% endif %}\nc") == "a\n  b\nc")
    }

    @Test(
        "a template that does not end, nests without bound or grows without bound is refused in bounded time",
        arguments: [
            "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ range(10000000) | list }}", "{{ 'x' * 9999999999 }}",
            "{% set ns = namespace(s='ab') %}{% for i in range(1000) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
            String(repeating: "(", count: 100_000), String(repeating: "{% if true %}", count: 10_000),
            "{{ " + String(repeating: "a.", count: 100_000) + "a }}",
            "{{ " + String(repeating: "-", count: 100_000) + "1 }}",
            "{{ " + String(repeating: "[", count: 100_000), "{{ 'a' + 1 }}", "{% include 'x' %}", "{{ 1 // 0 }}",
            "{{ nothing.at.all }}", "{% for %}", "{{ 'open", "{% if true %}", "{{ 9999999999999999999999 }}",
            "{{ 9223372036854775807 + 1 }}", "{{ [1][0:1:0] }}", "{{ raise_exception('no') }}",
            "{{ [1] | tojson(indent=92233720368) }}",
            "{% set ns = namespace(x=1) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}",
            "{% set ns = namespace(x=1) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}",
            "{% set ns = namespace(x=1) %}{% for i in range(90000) %}{% set ns.x = dict(a=ns.x) %}{% endfor %}",
            "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}", "{{ ('b' * 1000000).join(range(9999)) }}",
            "{% set x = ['b' * 1000000] %}" + String(repeating: "{% set x = x + x %}", count: 40) + "{{ x }}",
            "{% set ns = namespace() %}{% set ns.me = ns %}", "{% set ns = namespace(x=namespace()) %}",
        ])
    func hostile(template: String) {
        let isText = template.hasPrefix("((")
        #expect(throws: JinjaError.self) { try written(isText ? "{{ \(template) }}" : template) }
    }

    @Test("an error names the line")
    func lines() {
        let error = #expect(throws: JinjaError.self) { try written("a\nb\n{{ 'x' + 1 }}") }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("line 3"))
    }

    @Test("what a template trims and cuts is followed character by character")
    func marks() throws {
        let template = try JinjaTemplate(chatML, tokenizer: tokenizer)
        let messages = [
            Message(.user, "  What? <|im_end|> "),
            Message(role: .assistant, spans: [.init("Thought: "), .init("go.", trainable: true)]),
            Message(.user, "42"), Message(.assistant, "Done. \n", trainable: true),
        ]
        let chat = try template.render(messages, then: .nothing, with: tokenizer)
        let learned = zip(chat.tokens, chat.trainable).filter(\.1).map(\.0)
        #expect(tokenizer.decode(learned) == "go.<|im_end|>Done.<|im_end|>")
        #expect(chat.tokens.count { $0 == template.endOfTurn } == 4)
        #expect(tokenizer.decode(chat.tokens).hasPrefix("<|im_start|>user\nWhat? <|im_end|><|im_end|>\n"))
    }

    @Test("the prompt of every turn is the beginning of the training example")
    func prompts() throws {
        let template = try JinjaTemplate(chatML, tokenizer: tokenizer)
        let messages = [
            Message(.system, "S"), Message(.user, "a\n"), Message(.assistant, "\nb", trainable: true),
            Message(.user, "c"),
            Message(.assistant, "d", trainable: true),
        ]
        let whole = try template.render(messages, then: .nothing, with: tokenizer).tokens
        for end in [2, 4] {
            let prompt = try template.render(Array(messages[..<end]), then: .generation(), with: tokenizer).tokens
            #expect(whole.starts(with: prompt))
        }
    }

    @Test("a template that changes what is to be learned is refused")
    func altered() throws {
        let cutting = chatML.replacing("| trim", with: "| upper")
        #expect(throws: ChatTemplateError.self) {
            try JinjaTemplate(cutting, tokenizer: tokenizer).render(
                [Message(.user, "a"), Message(.assistant, "Yes", trainable: true)], then: .nothing, with: tokenizer)
        }
    }

    @Test("a template that writes a turn otherwise than its prompt announces is refused")
    func unstable() throws {
        let moody = "{% if messages[-1].role == 'assistant' %}finished: {% endif %}" + chatML
        let error = #expect(throws: ChatTemplateError.self) {
            try JinjaTemplate(moody, tokenizer: tokenizer).render(
                [Message(.user, "a"), Message(.assistant, "b", trainable: true)], then: .nothing, with: tokenizer)
        }
        #expect(error == .unstable(message: 1))
    }

    @Test("a system text that the template refuses opens the first question")
    func noSystem() throws {
        let strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + chatML
        let chat = try JinjaTemplate(strict, tokenizer: tokenizer).render(
            [Message(.system, "S"), Message(.user, "Q")], then: .generation(), with: tokenizer)
        #expect(tokenizer.decode(chat.tokens) == "<|im_start|>user\nS\n\nQ<|im_end|>\n<|im_start|>assistant\n")
    }

    @Test("the published templates open, and mark a trajectory exactly", arguments: ["qwen2.5", "qwen3"])
    func published(name: String) throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Templates/\(name).jinja")
        let template = try JinjaTemplate(String(contentsOf: file, encoding: .utf8), tokenizer: tokenizer)
        let messages = [
            Message(.system, "S"), Message(.user, "Q"), Message(.assistant, "One.", trainable: true),
            Message(.user, "Observation:\n1"), Message(.assistant, "Two.", trainable: true),
        ]
        let chat = try template.render(messages, then: .nothing, with: tokenizer)
        let learned = tokenizer.decode(zip(chat.tokens, chat.trainable).filter(\.1).map(\.0))
        // Qwen3 writes an empty thought before the last answer, which the student then has to write as well.
        let thought = name == "qwen3" ? "<think>\n\n</think>\n\n" : ""
        #expect(learned == "One.<|im_end|>\(thought)Two.<|im_end|>")
    }
}
