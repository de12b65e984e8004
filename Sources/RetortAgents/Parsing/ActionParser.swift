import RetortCore

/// Reads a model's text: its thought and its action. The inverse of the views' `turn`.
public enum ActionParser {
    /// Reads a code agent's turn.
    ///
    /// The blocks that are tagged as Python, or with nothing where none is, are joined by blank lines: those from the label
    /// `Code:` on where there is one, and those between `<code>` and `</code>` where there are any. Forgiven are missing
    /// labels, other spellings of them, a shared indent, a last block left open, and `<end_code>` and the like; what stands
    /// in `<think>` is not read.
    public static func codeTurn(_ text: String) -> (thought: String, action: Action) {
        guard let blocks = FencedBlocks(withoutThinking(text)) else {
            return ("", .unparsable(text: text, reason: missingProgram(text)))
        }
        let thought = TurnLabel.withoutThought(TurnLabel.withoutCode(blocks.lead.trimmed))
        return (thought, .code(blocks.program))
    }

    /// Reads a reasoner's turn: the answer in `<answer>` tags, after the last `Answer:`, in the last `\boxed{}`, or after
    /// the last *the answer is*.
    public static func reasonedTurn(_ text: String) -> (thought: String, action: Action) {
        let visible = withoutThinking(text)
        let found = taggedAnswer(visible) ?? markedAnswer(visible) ?? boxedAnswer(visible) ?? statedAnswer(visible)
        guard let found, !found.answer.isEmpty else {
            return ("", .unparsable(text: text, reason: "no answer was found; close with a line 'Answer: …'"))
        }
        return (found.thought, .answer(.string(found.answer)))
    }

    /// Reads the turn of a model that was told to answer now, whatever form it chose: a call of `final_answer`, an
    /// answer as in `reasonedTurn`, or its whole text. Such a program is not run: an argument that is no literal is
    /// taken as it is written.
    public static func concludingTurn(_ text: String) -> (thought: String, action: Action) {
        let visible = withoutThinking(text)
        if let argument = FinalAnswerCall.argument(in: visible) {
            let answer = PythonLiteral.value(of: argument) ?? .string(argument)
            guard answer != .null else { return ("", .unparsable(text: text, reason: "the answer given was None")) }
            return (codeTurn(text).thought, .answer(answer))
        }
        let reasoned = reasonedTurn(text)
        if case .answer = reasoned.action { return reasoned }
        guard !visible.trimmed.isEmpty else { return ("", .unparsable(text: text, reason: "no answer was given")) }
        return ("", .answer(.string(visible.trimmed)))
    }

    /// Whether a turn is written as code agents write theirs: a program behind a label or between `<code>` tags, or one that
    /// calls `final_answer`.
    package static func isAgentTurn(_ text: String) -> Bool {
        guard let blocks = FencedBlocks(withoutThinking(text)) else { return false }
        return blocks.isMarked || blocks.program.contains("final_answer(")
    }

    private static func missingProgram(_ text: String) -> String {
        let form = "write the program between a line ```py and a line ```, after 'Thought:' and 'Code:'"
        let isAnswer = text.contains("final_answer") || text.lowercased().contains("answer:")
        return "no program was found; \(form)" + (isAnswer ? "; to answer, call final_answer(…) in that program" : "")
    }

    /// The text without what a reasoning model thinks to itself. The same marks inside a program are the program's.
    static func withoutThinking(_ text: String) -> String {
        var visible = text
        // Some chat templates write the opening mark for the model, which then only writes the closing one.
        if let closing = visible.firstRange(of: /<\/think>\r?\n/.matchingSemantics(.unicodeScalar)),
            !visible[..<closing.lowerBound].contains("<think>"),
            closing.lowerBound == visible.startIndex || visible[..<closing.lowerBound].last?.isNewline == true
        {
            visible = String(visible[closing.upperBound...])
        }
        while let open = visible.firstRange(of: "<think>"),
            !FencedBlocks.opensProgram(in: visible[..<open.lowerBound])
        {
            let close = visible[open.upperBound...].firstRange(of: "</think>")
            visible = String(visible[..<open.lowerBound]) + String(close.map { visible[$0.upperBound...] } ?? "")
        }
        return visible
    }

    private typealias Answer = (thought: String, answer: String)

    private static func taggedAnswer(_ text: String) -> Answer? {
        AnswerTag.last(in: text).map { (text[..<$0.start].trimmed, bare($0.content[...])) }
    }

    /// A mark at the start of a line counts before one within a line; the answer ends with the line.
    private static func markedAnswer(_ text: String) -> Answer? {
        let marks = text.ranges(of: "Answer:")
        let opening = marks.last { mark in
            text[..<mark.lowerBound].reversed().prefix { !$0.isNewline }.allSatisfy { "*#> \t".contains($0) }
        }
        guard let mark = opening ?? marks.last else { return nil }
        let rest = text[mark.upperBound...].drop { $0.isWhitespace || $0 == "*" }
        let thought = text[..<mark.lowerBound].trimmed
        return (opening == nil ? thought : thought.droppingTrailingEmphasis, bare(rest.prefix { !$0.isNewline }))
    }

    private static func boxedAnswer(_ text: String) -> Answer? {
        guard let mark = text.ranges(of: "\\boxed{").last, let end = closingBrace(text[mark.upperBound...]) else {
            return nil
        }
        return (text[..<mark.lowerBound].trimmed, text[mark.upperBound..<end].trimmed)
    }

    /// What models say that forget the form: the rest of the sentence counts.
    private static func statedAnswer(_ text: String) -> Answer? {
        let phrase = /(?i)(?:\b(?:so|thus|hence|therefore),?\s+)?\b(?:the|my) (?:final )?answer is:?\s+/
        guard let mark = text.matches(of: phrase).last else { return nil }
        let line = text[mark.range.upperBound...].drop { $0 == "*" }.prefix { !$0.isNewline }
        var answer = bare(FirstThought.sentences(of: String(line)).first?[...] ?? "")
        while let last = answer.last, ".!".contains(last) { answer.removeLast() }
        return (text[..<mark.range.lowerBound].trimmed, bare(answer[...]))
    }

    /// An answer without the emphasis or box around the whole of it.
    private static func bare(_ text: Substring) -> String {
        var answer = text.trimmed
        while answer.hasSuffix("**") { answer = answer.dropLast(2).trimmed }
        while answer.hasPrefix("**") { answer = answer.dropFirst(2).trimmed }
        let box = "\\boxed{"
        if answer.hasPrefix(box), let end = closingBrace(answer.dropFirst(box.count)),
            answer.index(after: end) == answer.endIndex
        {
            answer = answer.dropFirst(box.count).dropLast().trimmed
        }
        return answer
    }

    /// Where the brace that was opened before the text is closed.
    private static func closingBrace(_ text: Substring) -> String.Index? {
        var depth = 1
        return text.indices.first { index in
            if text[index] == "{" { depth += 1 }
            if text[index] == "}" { depth -= 1 }
            return depth == 0
        }
    }
}

extension StringProtocol {
    /// Without white space at either end.
    var trimmed: String {
        let start = firstIndex { !$0.isWhitespace } ?? endIndex
        let end = lastIndex { !$0.isWhitespace }.map { index(after: $0) } ?? start
        return String(self[start..<end])
    }
}

extension String {
    /// Without the `**` that opened the emphasis of what followed.
    fileprivate var droppingTrailingEmphasis: String { hasSuffix("**") ? dropLast(2).trimmed : self }
}
