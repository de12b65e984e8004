import RetortCore

/// Reads a model's text: its thought and its action. The inverse of the views' `turn`.
public enum ActionParser {
    /// Reads a code agent's turn.
    ///
    /// All fenced blocks tagged `py`, `python` or untagged are joined; a last fence left open, because the model was
    /// stopped there, counts as closed.
    public static func codeTurn(_ text: String) -> (thought: String, action: Action) {
        let visible = withoutThinking(text).replacing("<end_code>", with: "")
        let (programs, firstFence) = fencedPrograms(visible)
        guard let firstFence, !programs.isEmpty else {
            return (
                "",
                .unparsable(
                    text: text,
                    reason: "no program was found; write it between ```py and ```, after 'Thought:' and 'Code:'")
            )
        }
        var thought = visible[..<firstFence].trimmed
        if thought.hasSuffix("Code:") { thought = thought.dropLast("Code:".count).trimmed }
        if thought.hasPrefix("Thought:") { thought = thought.dropFirst("Thought:".count).trimmed }
        return (thought, .code(programs.joined(separator: "\n\n")))
    }

    /// Reads a reasoner's turn: the answer after the last `Answer:`, in `\boxed{}`, or in `<answer>` tags.
    public static func reasonedTurn(_ text: String) -> (thought: String, action: Action) {
        let visible = withoutThinking(text)
        let found = taggedAnswer(visible) ?? markedAnswer(visible) ?? boxedAnswer(visible)
        guard let found, !found.answer.isEmpty else {
            return ("", .unparsable(text: text, reason: "no answer was found; close with a line 'Answer: …'"))
        }
        return (found.thought, .answer(.string(found.answer)))
    }

    /// Reads whatever answer a model gave when it was told to answer now.
    public static func forcedAnswer(_ text: String) -> String? {
        if case (_, .answer(let value)) = reasonedTurn(text) { return value.text }
        let visible = withoutThinking(text).trimmed
        if let call = visible.firstRange(of: "final_answer(") {
            let inner = visible[call.upperBound...].prefix { $0 != "\n" }
            let argument = inner.lastIndex(of: ")").map { inner[..<$0] } ?? inner
            return argument.trimmed.trimmingMatchingQuotes
        }
        return visible.isEmpty ? nil : visible
    }

    private static func fencedPrograms(_ text: String) -> (programs: [String], start: String.Index?) {
        var programs: [String] = []
        var start: String.Index?
        var rest = text[...]
        while let open = rest.firstRange(of: "```") {
            let head = rest[open.upperBound...]
            guard let lineEnd = head.firstIndex(of: "\n") else { break }
            let tag = head[..<lineEnd].trimmed.lowercased()
            let body = head[head.index(after: lineEnd)...]
            let close = body.firstRange(of: "```")
            if ["", "py", "python"].contains(tag) {
                let program = (close.map { body[..<$0.lowerBound] } ?? body).droppingLastNewline
                if !program.trimmed.isEmpty {
                    programs.append(program)
                    start = start ?? open.lowerBound
                }
            }
            guard let close else { break }
            rest = body[close.upperBound...]
        }
        return (programs, start)
    }

    private static func withoutThinking(_ text: String) -> String {
        guard let open = text.firstRange(of: "<think>"),
            let close = text[open.upperBound...].firstRange(of: "</think>")
        else { return text }
        return String(text[..<open.lowerBound] + text[close.upperBound...])
    }

    private static func taggedAnswer(_ text: String) -> (thought: String, answer: String)? {
        guard let open = text.firstRange(of: "<answer>"),
            let close = text[open.upperBound...].firstRange(of: "</answer>")
        else { return nil }
        return (text[..<open.lowerBound].trimmed, text[open.upperBound..<close.lowerBound].trimmed)
    }

    private static func markedAnswer(_ text: String) -> (thought: String, answer: String)? {
        guard let mark = text.ranges(of: "Answer:").last else { return nil }
        return (text[..<mark.lowerBound].trimmed, text[mark.upperBound...].trimmed)
    }

    private static func boxedAnswer(_ text: String) -> (thought: String, answer: String)? {
        guard let mark = text.ranges(of: "\\boxed{").last else { return nil }
        var depth = 1
        for index in text[mark.upperBound...].indices {
            if text[index] == "{" { depth += 1 }
            if text[index] == "}" { depth -= 1 }
            if depth == 0 { return (text[..<mark.lowerBound].trimmed, text[mark.upperBound..<index].trimmed) }
        }
        return nil
    }
}

extension StringProtocol {
    /// Without white space at either end.
    var trimmed: String {
        let start = firstIndex { !$0.isWhitespace } ?? endIndex
        let end = lastIndex { !$0.isWhitespace }.map { index(after: $0) } ?? start
        return String(self[start..<end])
    }

    var droppingLastNewline: String { String(last?.isNewline == true ? self[..<index(before: endIndex)] : self[...]) }
}

extension String {
    var trimmingMatchingQuotes: String {
        guard count >= 2, let first, first == last, first == "\"" || first == "'" else { return self }
        return String(dropFirst().dropLast())
    }
}
