/// Distinguishes sentences from formulas, and knows the words that matter around a value.
enum ProseWords {
    /// Whether a text contains any word that is neither a mathematical name nor a unit. LaTeX's text commands do not
    /// count.
    static func arePresent(in text: some StringProtocol) -> Bool {
        var rest = Substring(text)
        var before: Character = " "
        while let first = rest.first {
            if first == "\\" {
                rest = rest.dropFirst()
                let name = rest.prefix { $0.isLetter && $0.isASCII }
                rest = rest[name.endIndex...]
                if name == "begin" || name == "end" || isTextCommand(name) { rest = afterGroup(rest) }
                before = " "
            } else if first.isLetter {
                let word = rest.prefix { $0.isLetter }
                rest = rest[word.endIndex...]
                // `It's`, `don't`
                if word.count > 1, rest.first == "'", rest.dropFirst().first?.isLetter == true { return true }
                // `Sum: 42`, but not the ratio `ab:cd`
                if word.count > 1, rest.hasPrefix(": "), before != "\\", isLabelled(rest.dropFirst(2)) { return true }
                let isCode = rest.first == "(" || rest.first == "_" || before == "." || before == "_"
                if !isCode, isProse(word) { return true }
                before = word.last ?? " "
            } else {
                before = first
                rest = rest.dropFirst()
            }
        }
        return false
    }

    /// Whether a value follows a label and its colon.
    private static func isLabelled(_ rest: Substring) -> Bool {
        rest.first { !$0.isWhitespace }.map { $0.isNumber || "$€£¥-−.\\".contains($0) } == true
    }

    /// `\text`, `\mathrm` and the like: their braces contain words.
    static func isTextCommand(_ name: some StringProtocol) -> Bool {
        textCommands.contains(String(name))
    }

    /// Whether this is a word of a sentence, not a product of variables, a function or a unit.
    static func isProse(_ word: some StringProtocol) -> Bool {
        guard word.count > 1 else { return false }
        let word = String(word)
        if word == "It" || word == "At" || word == "By" { return true }
        if MathNames.functions[word] != nil || MathNames.builders.contains(word) { return false }
        if MathNames.greek.contains(word) || MathNames.constants[word] != nil { return false }
        let lower = word.lowercased()
        if MathNames.units[word] != nil || MathNames.units[lower] != nil || harmless.contains(lower) { return false }
        if word.count <= 3 { return short.contains(lower) }
        return lookAlikes.contains(lower) || MathNames.segments(word) == nil
    }

    /// Words that begin like functions.
    private static let lookAlikes: Set<String> = [
        "cost", "tank", "logs", "sins", "tans", "cots", "spin", "pies", "pint", "pips", "since", "sing", "sink",
        "single", "cosmic", "secret",
        "secure", "sector", "logic", "login", "tango", "piece", "pink", "pick", "pile", "pipe", "pine", "pill", "pilot",
        "pizza", "piano", "pigs",
        "pins", "picks", "piles", "pipes", "pitch", "cotton",
    ]

    private static func afterGroup(_ text: Substring) -> Substring {
        let text = text.drop(while: \.isWhitespace)
        guard text.first == "{" else { return text }
        var level = 0
        for index in text.indices {
            if text[index] == "{" { level += 1 }
            if text[index] == "}" { level -= 1 }
            if level == 0 { return text[text.index(after: index)...] }
        }
        return ""
    }

    private static let textCommands: Set<String> = [
        "text", "mbox", "textbf", "textit", "textrm", "textnormal", "mathrm", "texttt", "hbox", "textsf", "emph",
        "operatorname", "mathbf", "underline",
    ]
    /// Words that also occur in formulas.
    private static let harmless: Set<String> = ["and", "or", "in", "reals", "true", "false", "emptyset"]
    /// Words that are not products of variables, as `by` in `ax + by` and `it` in an exponent may be.
    private static let short: Set<String> = [
        "is", "so", "he", "we", "of", "to", "no", "do", "on", "go", "if", "are", "was", "she", "the", "has", "had",
        "you",
        "for", "all", "his", "her", "its", "our", "not", "but", "now", "get", "got", "can", "did", "yes", "out", "one",
        "two", "six", "ten", "who", "how", "any", "due", "let", "too", "off", "per", "ans",
    ]

    /// Words that may stand between "the answer is" and the answer itself.
    static let fillers: Set<String> = [
        "approximately", "about", "roughly", "around", "exactly", "simply", "just", "only",
        "therefore", "thus", "then", "hence", "so", "now", "equal", "equals", "to", "given", "by", "the", "a", "an",
        "total", "of", "be", "is", "are", "number", "value", "option", "choice", "letter", "answer", "final", "indeed",
        "clearly", "approx", "ca", "circa", "rs", "usd", "us", "eur", "gbp", "inr", "cad", "aud", "jpy", "cny", "rmb",
        "currently", "actually", "also", "still", "always", "either", "precisely", "correct", "amount", "sum", "as",
        "follows", "namely", "simplified", "yes",
    ]

    /// A number after one of these is only a name.
    static let labels: Set<String> = [
        "step", "steps", "question", "problem", "figure", "fig", "table", "case", "method", "example", "exercise",
        "equation", "eq", "section", "theorem", "lemma", "appendix", "footnote", "version", "note",
    ]

    /// Before `the answer is`, these do not state it.
    static let suppositions: Set<String> = [
        "if", "whether", "unless", "suppose", "supposing", "assume", "assuming", "imagine", "wonder", "doubt", "could",
        "can", "might", "may", "would", "should",
    ]

    /// A conclusion follows these.
    static let conclusions: Set<String> = ["so", "thus", "then", "hence", "therefore"]

    /// Before a number in words that is only a purpose, a duration or a container.
    static let prepositions: Set<String> = [
        "in", "for", "of", "after", "from", "per", "within", "during", "over", "at", "on", "every", "by", "before",
        "until", "across", "among", "between", "make", "through", "throughout",
    ]

    static let months: Set<String> = [
        "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
        "december",
    ]

    /// In a sentence with one of these, `3 in 8` is a share.
    static let chances: Set<String> = ["probability", "chance", "chances", "odds", "likelihood"]

    /// A point after these does not end a sentence.
    static let abbreviations: Set<String> = [
        "approx", "ca", "rs", "no", "mr", "mrs", "ms", "dr", "st", "vs", "eq", "fig", "ans", "e", "g", "i", "cf",
        "resp",
    ]
}
