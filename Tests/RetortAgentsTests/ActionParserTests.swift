import RetortAgents
import RetortCore
import Testing

@Suite("Reading a model's text")
struct ActionParserTests {
    @Test(
        "programs are found in the ways models write them",
        arguments: [
            ("```python\nx\n```", "x"), ("Thought: a\n```py\nx", "x"), ("```\nx\n```\nand\n```\ny\n```", "x\n\ny"),
            ("<think>```py\nno\n```</think>Code:\n```py\nx\n```<end_code>", "x"), ("```py\nx\n<end_code>", "x"),
            ("no\n```py\ndraft\n```\n</think>\n```py\nx\n```", "x"), ("Code:```py\nx```", "x"),
            ("```json\n{}\n```\n```py\nx\n```", "x"), ("  ```py\r\nx\r\n  ```", "x"),
            ("```py\nprint('<think>a</think>')\n```", "print('<think>a</think>')"),
        ])
    func tolerance(text: String, program: String) {
        #expect(ActionParser.codeTurn(text).action == .code(program))
    }

    @Test(
        "the thought is what stands before the program, without its labels",
        arguments: [
            "Thought: Look.\nCode:\n```py\nx\n```", "Look.\n```py\nx\n```", "Thought:\nLook.\n\nCode:\n\n```py\nx",
            "<think>Hm.</think>\nThought: Look.\nCode:\n```py\nx\n```", "Look.\nCode:```py\nx\n```",
        ])
    func thought(text: String) {
        #expect(ActionParser.codeTurn(text).thought == "Look.")
    }

    @Test(
        "what holds no program is kept whole",
        arguments: ["", "x = 1", "```json\n1\n```", "```py\n\n```", "Use ```x```"])
    func unparsable(text: String) {
        guard case .unparsable(text, _) = ActionParser.codeTurn(text).action else {
            Issue.record("\(ActionParser.codeTurn(text))")
            return
        }
    }

    @Test("an answer outside a program gets a hint of its own")
    func hint() {
        guard case .unparsable(_, let reason) = ActionParser.codeTurn("The answer: 4").action else { return }
        #expect(reason.contains("call final_answer"))
    }

    @Test(
        "an answer is found where reasoners put it",
        arguments: [
            ("So.\nAnswer: Port Amsel", "Port Amsel"), ("It is \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
            ("<answer>yes</answer>", "yes"), ("Answer: 1\nNo.\nAnswer: 2", "2"), ("**Answer:** 42\n\nDone.", "42"),
            ("Answer:\n**no**", "no"), ("Answer: \\boxed{7}", "7"),
            ("The Answer: is 1, not\nAnswer: Answer: 3", "Answer: 3"),
            ("<answer>\\boxed{a}", "a"), ("3 * 4 = 12. The answer is 12. I hope that helps.", "12"),
            ("So the final answer is:\n**J. F. Berg**", "J. F. Berg"), ("The answer is 3.5!\nDone.", "3.5"),
        ])
    func answers(text: String, answer: String) {
        #expect(ActionParser.reasonedTurn(text).action == .answer(.string(answer)))
    }

    @Test("reasoning without an answer is no answer", arguments: ["", "I think it is 4.", "Answer:", "\\boxed{"])
    func noAnswer(text: String) {
        guard case .unparsable(text, _) = ActionParser.reasonedTurn(text).action else {
            Issue.record("\(ActionParser.reasonedTurn(text))")
            return
        }
    }

    @Test(
        "when told to answer, a model may do so in any form",
        arguments: [
            (turn("final_answer(\"It's (x)\")"), .string("It's (x)")), (turn("final_answer(42)"), 42),
            (turn("final_answer(answer=-2.5)"), -2.5), ("final_answer(True)", true), ("final_answer('a\\'b')", "a'b"),
            (turn("final_answer(max(a, b))"), "max(a, b)"), ("Answer: 7", "7"), ("Lisbon.", "Lisbon."),
            ("final_answer(123456789012345678901)", ["$int": "123456789012345678901"]),
            ("final_answer(\"open", "\"open"),
        ] as [(String, JSONValue)])
    func concluding(text: String, answer: JSONValue) {
        #expect(ActionParser.concludingTurn(text).action == .answer(answer))
    }

    @Test("nothing, and None, are no answers", arguments: ["", " \n", "final_answer(None)", "<think>4"])
    func nothing(text: String) {
        guard case .unparsable = ActionParser.concludingTurn(text).action else {
            Issue.record("\(ActionParser.concludingTurn(text))")
            return
        }
    }
}

/// Programs as models really fence them: CommonMark says what a fence is, Python's tokenizer what a string is.
@Suite("Programs between fences")
struct ProgramFenceTests {
    @Test(
        "an example in the thought is not run: what follows the label is",
        arguments: [
            ("Thought: One ends with\n```py\nfinal_answer(1)\n```\nCode:\n```py\nx = 2\n```", "x = 2"),
            ("As in ```final_answer(1)```\n```\nfinal_answer(3)\n```\n\nCode:\n\n```python\nx = 2\n```", "x = 2"),
            ("```py\nfinal_answer(1)\n```\n**Code:**\n```py\nx = 2\n```", "x = 2"),
            ("Form:\n~~~py\nfinal_answer(1)\n~~~\nNow. Code: ```py\nx = 2\n```", "x = 2"),
            ("Code:\n```py\nx = 1\n```\nCode:\n```py\ny = x\n```", "x = 1\n\ny = x"),
            ("Code:\n```json\n{}\n```\n```py\nx = 2\n```", "x = 2"),
        ])
    func examples(text: String, program: String) {
        #expect(ActionParser.codeTurn(text).action == .code(program))
    }

    @Test("the example stays in the thought, and the turn is read again from its rendering")
    func thought() {
        let text = "Thought: Like\n```py\nfinal_answer(1)\n```\nso.\nCode:\n```py\nx\n```"
        let (thought, action) = ActionParser.codeTurn(text)
        #expect(thought == "Like\n```py\nfinal_answer(1)\n```\nso.")
        #expect(CodeAgentView.turn(thought, action) == text)
    }

    @Test(
        "an indented block stands as deep as its fence",
        arguments: [
            ("1. So:\n   ```py\n   if x:\n       y\n   ```", "if x:\n    y"), ("\t```py\n\tx\n\t  y\n\t```", "x\n  y"),
            ("- ```py\n  x = 1\n  y = 2\n  ```", "x = 1\ny = 2"), ("  ```py\nx\n y\n  ```", "x\ny"),
            ("2. ```python\n   for a in b:\n\n     c\n   ```", "for a in b:\n\n  c"),
            ("      ~~~\n      x\n      ~~~", "x"),
        ])
    func indented(text: String, program: String) {
        #expect(ActionParser.codeTurn(text).action == .code(program))
    }

    @Test(
        "a fence in one of the program's strings, or at the end of a comment, closes nothing",
        arguments: [
            "s = \"\"\"\n```\nx\n```\n\"\"\"\nfinal_answer(s)", "x = 1  # in ```\ny = 2", "r = r'''\\'''\n```\n'''\nz",
            "doc = \"\"\"# Title\n```py\nfinal_answer(1)\n```\n\"\"\"\nwrite(doc)", "a = \"it's\"\nb = '```'\nc",
            "f('''\n```<end_code>\n''')", "s = 'a \\\n```\\\nb'\nt", "# don't\nprint('ok')",
        ])
    func strings(program: String) {
        #expect(ActionParser.codeTurn("Code:\n```py\n\(program)\n```").action == .code(program))
        #expect(ActionParser.codeTurn("Code:\n```py\n\(program)\n```\nDone, it's ```x```.").action == .code(program))
        #expect(ActionParser.codeTurn("Code:\n<code>\n\(program)\n</code>").action == .code(program))
    }

    @Test("a string that never ends holds nothing together")
    func unendingString() {
        let text = "```py\ns = '''a\n```\nThat is it."
        #expect(ActionParser.codeTurn(text).action == .code("s = '''a"))
    }

    @Test(
        "what stands behind the closing fence is not the program's",
        arguments: [
            "<end_action>", "<end_code>", " <end_action> ", "<|im_end|>", "</s>", "<end_code><end_of_turn>",
            "\n<end_action>",
        ])
    func endMarks(mark: String) {
        #expect(ActionParser.codeTurn("Code:\n```py\nx\n```\(mark)").action == .code("x"))
        #expect(ActionParser.codeTurn("Code:\n```py\nx\(mark == "</s>" ? "" : mark)").action == .code("x"))
    }

    @Test(
        "tags as models write them",
        arguments: [
            "tool_code", "ipython", "Python", "python3", "py3", "python title=\"a b.py\"",
            "python title=x.py linenums=\"1\"",
            "{.python .numberLines}", "python {1,3-4}", "py:solve.py", "python solve.py", "python,ignore",
            "python #L1-L3",
        ])
    func tags(tag: String) {
        #expect(ActionParser.codeTurn("Code:\n```\(tag)\nx = 1\n```").action == .code("x = 1"))
    }

    @Test(
        "blocks of other languages are not run",
        arguments: ["json", "bash", "text", "output", "math", "console title=x"])
    func otherLanguages(tag: String) {
        guard case .unparsable = ActionParser.codeTurn("```\(tag)\nx = 1\n```").action else {
            Issue.record("a block of \(tag) ran")
            return
        }
    }

    @Test(
        "a block may begin or end in a line with code, and be all of one line",
        arguments: [
            ("Code: ```py x = 1```", "x = 1"), ("```python print('a')```<end_code>", "print('a')"),
            ("```x = 1```", "x = 1"),
            ("Code:\n```py import math\nprint(math.pi)\n```", "import math\nprint(math.pi)"),
            ("Code:\n```py\nx = 'a'```\nDone.", "x = 'a'"), ("Thought: Now ```py\nx\n```", "x"),
            ("```json {}```\n```py x```", "x"),
        ])
    func oneLine(text: String, program: String) {
        #expect(ActionParser.codeTurn(text).action == .code(program))
    }

    @Test(
        "smolagents' tags are blocks, too",
        arguments: [
            ("Thought: a\n<code>\nx = 1\n</code>", "x = 1"), ("<code>x = 1</code>", "x = 1"),
            ("<code>\nx = 1", "x = 1"),
            ("a <code>\nx\n</code> b\n<code>\ny\n</code>", "x\n\ny"),
            ("Use\n```py\nfinal_answer(1)\n```\n<code>\nx\n</code>", "x"),
            ("Code: <code>\n```py\nx\n```\n</code>", "x"), ("<code>\nprint('</code>')\n</code>", "print('</code>')"),
            ("I call <code>x = 1</code> now.", "x = 1"), ("<code>\r\nx\r\ny\r\n</code>\r\n", "x\ny"),
        ])
    func tagged(text: String, program: String) {
        #expect(ActionParser.codeTurn(text).action == .code(program))
    }

    @Test("line ends of Windows change neither thought nor program")
    func windows() {
        let text = "<think>\nHm.\n</think>\nThought: One.\n\nTwo.\nCode:\n```py\nfor a in b:\n    c\n```<end_code>\n"
        let (thought, action) = ActionParser.codeTurn(text.replacing("\n", with: "\r\n"))
        #expect(thought == ActionParser.codeTurn(text).thought)
        #expect(action == .code("for a in b:\n    c"))
        let answered = ActionParser.reasonedTurn("So.\r\nAnswer: Port Amsel\r\nDone.")
        #expect(answered.action == .answer("Port Amsel"))
        #expect(ActionParser.codeTurn("draft\r\n</think>\r\n```py\r\nx\r\n```").action == .code("x"))
    }

    @Test("an answer in a string of any form is read, and nothing behind it")
    func concluding() {
        let answers = [
            "final_answer(\"\"\"a \"b\" (c)\"\"\")": "a \"b\" (c)", "final_answer('it)')  # final": "it)",
            "final_answer(\r\n  'x'\r\n)": "x",
        ]
        for (text, answer) in answers {
            #expect(ActionParser.concludingTurn(text).action == .answer(.string(answer)))
        }
    }
}

/// What models write beside what they were shown.
@Suite("Programs in turns of a form of their own")
struct ProgramVariantTests {
    private func program(_ text: String) -> String? { ActionParser.codeTurn(text).action.code }

    @Test(
        "the label of a program is known in any spelling",
        arguments: [
            "Code:", "code:", "CODE:", "Code :", "**Code**:", "**Code:**", "__Code:__", "*Code*:", "## Code",
            "### Code:",
            "**Code**", "Code (Python 3):", "Code [py]:", "> Code:", "- **Code**:", "2. Code:", "Python code:",
            "Code\u{FF1A}", "Now. Code:", "So it is. **CODE:**", "# 2. Code #",
        ])
    func labels(label: String) {
        let example = "Thought: As in\n```python\nfinal_answer(0)\n```"
        let (thought, action) = ActionParser.codeTurn("\(example)\n\(label)\n\n```python\nx = 2\n```")
        #expect(action == .code("x = 2"))
        #expect(thought.hasPrefix("As in") && !thought.lowercased().hasSuffix("code:"))
        #expect(program("\(example)\n\(label)\n<code>\nx = 2\n</code>") == "x = 2")
    }

    @Test(
        "prose that ends in the word is no label",
        arguments: ["I would write this code:", "The encode:", "Barcode:", "Here is my decoder", "Code", "codes:"])
    func prose(line: String) {
        #expect(program("\(line)\n```py\nx = 1\n```\n\(line)\n```py\ny = 2\n```") == "x = 1\n\ny = 2")
        #expect(program("```py\nx = 1\n```\n\(line)\n```py\ny = 2\n```") == "x = 1\n\ny = 2")
    }

    @Test(
        "labels before a block in its own line, and those of thoughts",
        arguments: [
            "**Thought**: So.\n**Code**: ```py\nx\n```", "THOUGHT: So.\nCODE: ```py x```",
            "## Thought:\nSo.\n\n## Code\n\n~~~py\nx\n~~~", "__Thought:__ So.\nCode (1) : <code>x</code>",
        ])
    func labelledLines(text: String) {
        let (thought, action) = ActionParser.codeTurn(text)
        #expect(thought == "So." && action == .code("x"))
    }

    @Test(
        "a block without a language does not run beside one of Python",
        arguments: [
            ("Code:\n```python\nx = 1\n```\nThis prints:\n```\n3 pears, 'fresh'\n```", "x = 1"),
            ("The table is\n```\na | b\n```\n```py\nx = 1\n```", "x = 1"),
            ("~~~\nEOF (\n~~~\nThen\n~~~py\nx = 1\n~~~\n```\n>>> 1\n```", "x = 1"),
            ("Code:\n```py\nx = 1\n```\nCode:\n```\ny = 2\n```", "x = 1\n\ny = 2"),
            ("```\nx = 1\n```\n```\ny = 2\n```", "x = 1\n\ny = 2"),
        ])
    func untagged(text: String, expected: String) {
        #expect(program(text) == expected)
    }

    @Test(
        "the indent that all statements share is taken away, and that of strings is not",
        arguments: [
            ("    for a in b:\n        c\n\n    d", "for a in b:\n    c\n\nd"), ("\tx\n\t\ty", "x\n\ty"),
            ("  s = \"\"\"\na\n    b\n  \"\"\"\n  t", "s = \"\"\"\na\n    b\n  \"\"\"\nt"), ("# why\n   x", "# why\nx"),
            ("x\n  y", "x\n  y"), ("   x", "x"), ("  s = 'a\\\n b'\n  t", "s = 'a\\\n b'\nt"),
        ])
    func indents(written: String, expected: String) {
        #expect(program("Code:\n```py\n\(written)\n```") == expected)
        #expect(program("Code:\n```\n\(written)\n```") == expected)
        #expect(program("<code>\n\(written)\n</code>") == expected)
        #expect(program("<code>\n\(written)") == expected)
    }

    @Test(
        "marks of a turn's end inside a block are not the program's",
        arguments: ["<end_code>", "<end_action>", "<|im_end|>", "<end_code>\n<end_action>", "</s>", "[/INST]"])
    func endMarks(mark: String) {
        let endings = [
            "```py\nx = 1\n\(mark)\n```", "```py\nx = 1 \(mark)\n```\nSo.", "<code>\nx = 1\n\(mark)\n</code>",
        ]
        for text in endings { #expect(program("Code:\n" + text) == "x = 1") }
        let held = "x = 1  # \(mark.split(separator: "\n")[0])"
        #expect(program("```py\n\(held)\n```") == held)
    }

    @Test(
        "words behind a closing fence belong to no program",
        arguments: ["``` Then I wait.", "```,", "```[/INST]", "``` <|im_end|> ok", "````"])
    func closingWords(closing: String) {
        #expect(program("Code:\n```py\nx = 1\n\(closing)") == "x = 1")
        #expect(program("Code:\n```\nx = 1\n\(closing)") == "x = 1")
        #expect(program("Code:\n```py\nx = 1\n\(closing)\nThen\n```py\ny = 2\n```") == "x = 1\n\ny = 2")
        let quoted = "s = '''\n\(closing)\n'''\nt"
        #expect(program("Code:\n`````py\n\(quoted)\n`````") == quoted)
    }

    @Test("a block of Python that was not closed before the next is closed by it")
    func reopened() {
        #expect(program("```py\nx = 1\n```py\ny = 2\n```") == "x = 1\n\ny = 2")
        #expect(program("```py\n```python\nx = 1\n```\n```") == "x = 1")
    }

    @Test(
        "other writers' words behind the language",
        arguments: ["python=", "python=12", "python= 7", "py=+", "{code-cell} ipython3", "{code-block} python"])
    func attributes(info: String) {
        #expect(program("```\(info)\nx = 1\n```") == "x = 1")
        #expect(program("~~~\(info)\nx = 1\n~~~") == "x = 1")
    }

    @Test(
        "a closing tag in a comment or a string closes nothing, if another does",
        arguments: [
            ("x = 1  # unlike </code>\ny = 2\n</code>", "x = 1  # unlike </code>\ny = 2"),
            ("# <code> and </code>\ny = 2</code> Done.", "# <code> and </code>\ny = 2"),
            ("x = 1  # so</code>", "x = 1  # so"),
            ("x = 1  # so</code>\nThen\n<code>\ny = 2\n</code>", "x = 1  # so\n\ny = 2"),
            ("s = '</CODE>'\nt\n</Code >", "s = '</CODE>'\nt"),
        ])
    func tagsInComments(written: String, expected: String) {
        #expect(program("Thought: a\n<code>\n\(written)") == expected)
    }

    @Test(
        "tags in capitals, with attributes, and closed by another opening one",
        arguments: [
            ("<CODE>\nx\n</CODE>", "x"), ("<code lang=\"py\">\nx\n</code>", "x"),
            ("<Code class=\"language-python\">x</Code>", "x"), ("<code>\nx\n<code>\nThen I look.", "x"),
            ("<code>\nx\n<code>\ny\n</code>", "x\n\ny"), ("<code>\n<code>\nx\n</code>", "x"),
            ("So <code lang='python'>x</code> then", "x"),
        ])
    func tags(text: String, expected: String) {
        #expect(program(text) == expected)
    }

    @Test("a tag that names another language is no program's", arguments: ["lang=\"json\"", "class='language-bash'"])
    func otherTags(attributes: String) {
        #expect(program("<code \(attributes)>\nx\n</code>") == nil)
    }

    @Test(
        "quoted blocks are read without the marks of quoting",
        arguments: [
            ("> ```py\n> if x:\n>     y\n> ```", "if x:\n    y"),
            ("I run\n>```python\n>x\n>\n>y\n>```\nnow.", "x\n\ny"), ("> <code>\n> x\n> </code>", "x"),
            ("> ```py\n> x > 1\nNo more.\n```py\ny\n```", "x > 1\n\ny"),
            ("> Like so\n\n```py\nx = \"\"\"\n> y\"\"\"\n```", "x = \"\"\"\n> y\"\"\""),
        ])
    func quoted(text: String, expected: String) {
        #expect(program(text) == expected)
    }
}

@Suite("Writing and reading turns are inverse")
struct TurnRoundTripTests {
    private static let thoughts = [
        "Plan", " it", "\n", ":", "Thought:", "Code:", "`x`", "é", "👩‍🔬", "\n```json\n{}\n```\n", "Answer:", "\n\n",
        "<b>",
    ]
    private static let lines = [
        "x = 1", "    print('a')  ", "", "```", "s = '''", "````py", "# ```", "\t", "x\r", "<end_code>",
        "```<end_code>",
        "print(\"<think>\")", "Observation:", "final_answer(\"é\")", "  ```  ", "Thought: Code:",
    ]

    private func pick(_ choices: [String], _ generator: inout SeededGenerator) -> [String] {
        (0..<Int.random(in: 0...6, using: &generator)).compactMap { _ in choices.randomElement(using: &generator) }
    }

    /// Whether a program's statements begin at the margin, and no mark of a turn's end stands behind it.
    private func isClean(_ program: String) -> Bool {
        let first = program.split(separator: "\n").first { line in
            !line.allSatisfy(\.isWhitespace) && !line.hasPrefix("#")
        }
        return first?.first?.isWhitespace == false && !program.trimmingWhitespace.hasSuffix("<end_code>")
    }

    @Test("every thought and program come back as they were")
    func code() {
        var generator = SeededGenerator(seed: 1, "turns")
        for _ in 0..<3000 {
            let thought = pick(Self.thoughts, &generator).joined().trimmingWhitespace
            let program = pick(Self.lines, &generator).joined(separator: "\n")
            guard isClean(program) else { continue }
            let parsed = ActionParser.codeTurn(CodeAgentView.turn(thought, .code(program)))
            #expect(parsed.thought == thought)
            #expect(parsed.action == .code(program))
        }
    }

    @Test("what is read from any text is read again from its rendering")
    func anyText() {
        var generator = SeededGenerator(seed: 2, "texts")
        for _ in 0..<3000 {
            let text = pick(Self.thoughts + Self.lines + ["\n```py\n", "\n```\n"], &generator).joined(separator: "\n")
            let parsed = ActionParser.codeTurn(text)
            let again = ActionParser.codeTurn(CodeAgentView.turn(parsed.thought, parsed.action))
            #expect(parsed == again, "\(text)")
        }
    }

    @Test("every reasoning and one-line answer come back as they were")
    func reasoned() {
        var generator = SeededGenerator(seed: 3, "answers")
        for _ in 0..<3000 {
            let thought = pick(Self.thoughts, &generator).joined().trimmingWhitespace
            let answer = ["42", "Port Amsel", "Answer: x", "a: b", "[1, 2]"].randomElement(using: &generator) ?? ""
            let parsed = ActionParser.reasonedTurn(ChainOfThoughtView.turn(thought, .answer(.string(answer))))
            #expect(parsed.thought == thought)
            #expect(parsed.action == .answer(.string(answer)))
        }
    }

    @Test("the ordinary turn has exactly its documented form")
    func form() {
        #expect(CodeAgentView.turn("Look.", .code("x = 1")) == "Thought: Look.\nCode:\n```py\nx = 1\n```")
        #expect(ChainOfThoughtView.turn("So.", .answer(4)) == "So.\nAnswer: 4")
    }
}

extension String {
    fileprivate var trimmingWhitespace: String {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
