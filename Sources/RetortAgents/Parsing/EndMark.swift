/// Words by which models end their turns, and which are not the program's.
enum EndMark {
    private static let marks = [
        "<end_code>", "<end_action>", "<end_plan>", "<end_of_turn>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>",
        "<|end|>", "<|endofturn|>", "<|endoftext|>", "<eos>", "</s>", "[/INST]",
    ]

    /// A text without blanks and marks behind it.
    static func removed(from text: String) -> String {
        var rest = text
        while let before = before(in: rest) { rest = before }
        return withoutBlanks(rest)
    }

    /// What stands before the mark that ends a text; nil when none does.
    static func before(in text: String) -> String? {
        let rest = withoutBlanks(text)
        return marks.first(where: rest.hasSuffix).map { String(rest.dropLast($0.count)) }
    }

    static func withoutBlanks(_ text: String) -> String {
        var rest = text[...]
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}
