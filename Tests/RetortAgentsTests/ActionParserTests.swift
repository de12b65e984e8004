import RetortAgents
import RetortCore
import Testing

@Suite("Reading a model's text")
struct ActionParserTests {
    @Test(
        "programs are found in the ways models write them",
        arguments: [
            ("```python\nx\n```", "x"), ("Thought: a\n```py\nx", "x"), ("```\nx\n```\nand\n```py\ny\n```", "x\n\ny"),
            ("<think>```py\nno\n```</think>Code:\n```py\nx\n```<end_code>", "x"), ("```py\nx\n<end_code>", "x"),
            ("no\n```py\ndraft\n```\n</think>\n```py\nx\n```", "x"), ("Code:```py\nx```", "x"),
            ("```json\n{}\n```\n```py\nx\n```", "x"), ("  ```py\r\nx\r\n  ```", "x\r"),
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

    @Test("every thought and program come back as they were")
    func code() {
        var generator = SeededGenerator(seed: 1, "turns")
        for _ in 0..<3000 {
            let thought = pick(Self.thoughts, &generator).joined().trimmingWhitespace
            let program = pick(Self.lines, &generator).joined(separator: "\n")
            guard !program.trimmingWhitespace.isEmpty else { continue }
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
