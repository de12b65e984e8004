import Foundation
import RetortCore

/// Finds the answer in a model's text, and compares texts as texts.
enum AnswerText {
    /// An answer's text, and where it stood.
    struct Extract: Sendable, Hashable {
        let text: String
        /// Such as `\boxed{}`; nil when the whole text is the answer.
        let place: String?
        /// The whole answer in other forms: `150 minute` for `2 hours 30 minutes`, or the letter of `(B) 12`.
        var alternatives: [String] = []
        /// The whole statement in that place, for answers that are words.
        var statement: String
        /// Whether its writer marked it: in a box, behind `####`, in tags or behind a phrase.
        var isMarked: Bool { place.map { !["the last formula", "the last number"].contains($0) } ?? false }

        init(_ text: String, _ place: String?, alternatives: [String] = [], statement: String? = nil) {
            (self.text, self.place, self.alternatives) = (text, place, alternatives)
            self.statement = statement ?? text
        }

        init(_ run: ProseRun, _ place: String?, statement: String) {
            let found = place ?? (run.isFormula ? "the last formula" : "the last number")
            self.init(run.text, found, alternatives: run.alternatives, statement: statement)
        }
    }

    /// The answer in a text: in `<answer>` tags; in its last `\boxed{}` or after its last `####`, whichever comes
    /// later; or after a phrase such as "the answer is". In a text without these it is the value that ends it, and in a
    /// text that is not a sentence the whole text.
    static func extract(_ text: String) -> Extract {
        if isNumber(text) { return Extract(text, nil) }
        let text = CleanText.of(text.utf8.count > MathLimits.text ? String(text.suffix(MathLimits.text)) : text)
        let tagged = AnswerTag.last(in: text)?.content
        let body = tagged ?? text
        let box = AnswerBox.last(in: body)
        if let hash = HashMark.last(in: body), box.map({ $0.end < hash.start }) != false {
            return statement(hash.content, "####")
        }
        if let box, let rest = AnswerBox.correction(behind: body[box.end...]) {
            return corrected(rest, before: body[..<box.start])
        }
        if let box {
            let content = scale(behind: body[box.end...]).map { "\(box.content) \($0)" } ?? box.content
            return finalPhrase(behind: body[box.end...]) ?? statement(content, "\\boxed{}")
        }
        if let tagged { return statement(tagged, "<answer>") }
        return phrased(text) ?? closing(text)
    }

    /// The answer of a text whose last box is called wrong: behind that sentence, or else in an earlier box.
    private static func corrected(_ rest: Substring, before earlier: Substring) -> Extract {
        let rest = String(rest)
        if let answer = phrased(rest) { return answer }
        if let run = ProseReader(rest).closing() { return Extract(run, nil, statement: rest) }
        guard AnswerBox.last(in: String(earlier)) != nil else { return Extract("", "\\boxed{}, which is called wrong") }
        return extract(String(earlier))
    }

    /// The word of `\boxed{7} million`.
    private static func scale(behind rest: Substring) -> String? {
        var rest = rest.drop { $0 == " " || $0 == "$" || $0 == "\\" || $0 == ")" }
        if rest.hasPrefix("text{") { rest = rest.dropFirst(5).drop { $0 == " " } }
        let word = rest.prefix { $0.isLetter }
        return NumberWords.scales[String(word)] != nil ? String(word) : nil
    }

    /// Whether a text is a plain number or a fraction, with its signs and marks.
    private static func isNumber(_ text: String) -> Bool {
        text.utf8.count < 64 && text.utf8.allSatisfy { (48...57).contains($0) || ".,-+/%".utf8.contains($0) }
    }

    /// The final answer that a text may name after its box.
    private static func finalPhrase(behind rest: Substring) -> Extract? {
        guard rest.utf8.count > 8, let phrase = AnswerPhrase.last(in: String(rest)), phrase.isFinal,
            !phrase.rest.lowercased().contains("approx"), !phrase.rest.contains("≈"), !phrase.rest.contains("about"),
            let run = ProseReader(String(phrase.rest)).leading()
        else { return nil }
        return Extract(run, "the answer is", statement: firstSentence(phrase.rest))
    }

    // MARK: Phrases

    private static func phrased(_ text: String) -> Extract? {
        let phrase = AnswerPhrase.last(in: text)
        if let named = NamedAnswer.last(in: text), !isLater(phrase, than: named, in: text),
            let answer = self.named(named, in: text)
        {
            return answer
        }
        guard let phrase else { return nil }
        let place = "the answer is"
        if let again = AnswerPhrase.retraction(in: phrase.rest), let run = ProseReader(again).closing() {
            return Extract(run, nil, statement: again)
        }
        let clause = firstSentence(phrase.rest)
        guard !clause.isEmpty else { return nil }
        if let run = ProseReader.bound(in: clause) { return Extract(run, place, statement: clause) }
        if let answer = choice(clause, place) ?? formula(clause, place) ?? unfinished(clause, place) { return answer }
        if clause.lowercased() == "one" { return Extract("1", place, statement: clause) }
        let rest = ProseReader(String(phrase.rest))
        if let run = rest.leading() { return Extract(run, place, statement: clause) }
        // `Answer:` may introduce a whole solution, `the answer is` only its own sentence.
        if !phrase.isHeading, let run = ProseReader(clause).closing() { return Extract(run, place, statement: clause) }
        if let run = rest.closing() { return Extract(run, place, statement: clause) }
        return Extract(clause, place)
    }

    /// Whether a phrase stands behind `18 is the answer`, and is not a part of it.
    private static func isLater(_ phrase: AnswerPhrase?, than named: NamedAnswer, in text: String) -> Bool {
        guard let phrase, phrase.rest.startIndex > named.end else { return false }
        let between = text[named.end..<phrase.rest.startIndex].lowercased()
        return between.contains("\n") || between.contains("answer") || between.contains("final")
    }

    private static func named(_ named: NamedAnswer, in text: String) -> Extract? {
        if let again = AnswerPhrase.retraction(in: text[named.end...]), let run = ProseReader(again).closing() {
            return Extract(run, nil, statement: again)
        }
        let place = "is the answer"
        let lead = named.lead.trimmingCharacters(in: .whitespacesAndNewlines)
        if let answer = choice(lead, place) ?? formula(lead, place) { return answer }
        return ProseReader(lead).closing().map { Extract($0, place, statement: lead) }
    }

    /// The first sentence of a text, without surrounding marks.
    private static func firstSentence(_ text: Substring) -> String {
        var rest = text.drop { $0.isWhitespace || ":*_=".contains($0) }
        if let end = rest.firstIndex(of: "\n") { rest = rest[..<end] }
        for mark in [". ", "? ", "! "] {
            guard let end = rest.firstRange(of: mark) else { continue }
            let word = rest[..<end.lowerBound].split(separator: " ").last.map { $0.lowercased() } ?? ""
            if !ProseWords.abbreviations.contains(word) || word.count == 1 { rest = rest[..<end.lowerBound] }
        }
        let clause = rest.trimmingCharacters(in: .whitespacesAndNewlines)
        return clause.hasSuffix(".") && !clause.hasSuffix("..") ? String(clause.dropLast()) : clause
    }

    // MARK: Statements

    /// The answer in a box, after `####` or in tags: the whole content, or a sentence's value.
    private static func statement(_ text: String, _ place: String) -> Extract {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        if let run = ProseReader.bound(in: trimmed) { return Extract(run, place, statement: trimmed) }
        if let answer = choice(trimmed, place) ?? formula(trimmed, place) ?? unfinished(trimmed, place) {
            return answer
        }
        let reader = ProseReader(trimmed)
        guard let run = reader.leading() ?? reader.closing() else { return Extract(trimmed, place) }
        return Extract(run, place, statement: trimmed)
    }

    /// A choice with its letter: its text counts, and so does its letter.
    private static func choice(_ text: String, _ place: String?) -> Extract? {
        var plain = text[...]
        for word in ["option ", "Option ", "choice ", "Choice ", "letter "] where plain.hasPrefix(word) {
            plain = plain.dropFirst(word.count)
        }
        if let label = ChoiceLabel(String(plain)) {
            guard let rest = label.rest else { return Extract(label.letter, place, alternatives: [text]) }
            // What follows is about another choice.
            if rest.firstMatch(of: /\([A-Z]\)/) != nil {
                return Extract(NamedChoice.letter(in: text) ?? text, place, statement: text)
            }
            let inner = formula(rest, place) ?? ProseReader(rest).leading().map { Extract($0, place, statement: rest) }
            let found = inner ?? Extract(rest, place)
            return Extract(
                found.text, place, alternatives: found.alternatives + [label.letter, text], statement: text)
        }
        // `B, which is 12` and `option B`
        guard let letter = plain.first, letter.isASCII, letter.isUppercase else { return nil }
        let next = plain.dropFirst().first
        if plain.count < text.count, next?.isLetter != true {
            return Extract(String(letter), place, statement: text)
        }
        guard next == ",", let run = ProseReader(String(plain.dropFirst(2))).closing() else { return nil }
        return Extract(run.text, place, alternatives: run.alternatives + [String(letter)], statement: text)
    }

    /// The whole of a list that goes on, `1, 2, …, 10`, whose members alone are not the answer.
    private static func unfinished(_ text: String, _ place: String?) -> Extract? {
        guard text.contains("...") || text.contains("…") || text.contains("dots"),
            text.firstMatch(of: /,\s*(?:\.\.\.|…|\\[lc]?dots)/) != nil, !ProseWords.arePresent(in: text)
        else {
            return nil
        }
        return Extract(text, place)
    }

    /// The whole of a text that is not a sentence and can be read as mathematics.
    private static func formula(_ text: String, _ place: String?) -> Extract? {
        guard !ProseWords.arePresent(in: text), !isLargeAmount(text) else { return nil }
        if isNumber(text) { return Extract(text, place) }
        if let value = explained(text) { return Extract(value, place, statement: text) }
        if let run = compound(text) { return Extract(run, place, statement: text) }
        let readings = MathGrader.readings(text)
        // What is too large for the parser is not a sentence either.
        guard !readings.nodes.isEmpty || readings.fault == MathGrader.tooLarge else { return nil }
        // `\text{5 apples}`
        if case .text(let words)? = readings.nodes.first, words.contains(where: \.isNumber) { return nil }
        return Extract(text, place, alternatives: withoutUnit(text).map { [$0] } ?? [])
    }

    /// `$5k`, which is no product.
    private static func isLargeAmount(_ text: String) -> Bool {
        guard text.utf8.count < 40, text.contains(where: { "$€£".contains($0) }) else { return false }
        return text.firstMatch(of: /^\s*-?\s*[$€£]\s?[0-9.,]+\s?(?:k|K|M|m|mn|B|bn)\s*\.?\s*$/) != nil
    }

    /// The number of `24 (12 + 12)`, whose brackets say where it comes from.
    private static func explained(_ text: String) -> String? {
        guard text.utf8.contains(UInt8(ascii: "(")), text.first(where: { !" $-".contains($0) })?.isASCIIDigit == true
        else {
            return nil
        }
        var plain = text.filter { $0 != "$" }
        for (sign, mark) in [("\\times", "*"), ("\\cdot", "*"), (" x ", " * "), ("\\ ", " ")] {
            plain = plain.replacing(sign, with: mark)
        }
        guard let match = plain.wholeMatch(of: /\s*(-?[0-9][0-9.,]*)\s+\(([^A-Za-z]*)\)\s*\.?\s*/),
            match.2.contains(where: { "+*/×·÷-−".contains($0) }),
            let value = try? NumericValue.of(MathParser.parse(String(match.1))),
            let source = try? NumericValue.of(MathParser.parse(String(match.2))), value == source
        else { return nil }
        return String(match.1)
    }

    /// The number of `18 pcs`, which could be a product of variables if it had no blank; `5 xy` is one.
    private static func withoutUnit(_ text: String) -> String? {
        let number = text.prefix { $0.isNumber || "$.,-+/".contains($0) }
        let rest = text[number.endIndex...]
        guard number.contains(where: \.isNumber), rest.first == " ",
            rest.allSatisfy({ $0.isLetter || " .²³".contains($0) })
        else { return nil }
        let word = rest.drop { $0 == " " }.prefix { $0.isLetter }
        guard word.count > 1, MathNames.units[String(word)] == nil, MathNames.functions[String(word)] == nil,
            MathNames.constants[String(word)] == nil, NumberWords.scales[String(word)] == nil,
            !MathNames.builders.contains(String(word)), UnitSymbols.size(String(word)) == nil,
            isNoun(word)
        else { return nil }
        return String(number)
    }

    /// Whether letters behind a number name what it counts instead of being variables: a vowel makes a word, except among so few letters that
    /// are used for variables.
    private static func isNoun(_ word: Substring) -> Bool {
        let isSpoken = word.contains { "aeiouy".contains($0) }
        return isSpoken && (word.count > 3 || !word.allSatisfy { "abcdkmnpqrstuvwxyz".contains($0) })
            || measures.contains(String(word))
    }

    private static let measures: Set<String> = [
        "cup", "pcs", "pc", "pts", "pt", "ppl", "cal", "sqft", "sq", "cu", "bps", "fps", "yds", "tbsp", "tsp", "psi",
        "mpg",
    ]

    /// `2 hours 30 minutes`, which is a single value.
    private static func compound(_ text: String) -> ProseRun? {
        let units = text.split { !$0.isLetter }.count { $0 == "h" || MathNames.units[$0.lowercased()] != nil }
        guard units > 1, let run = ProseReader(text).closing(), !run.alternatives.isEmpty else { return nil }
        return run
    }

    /// The value that ends a text without any marks, or the whole of a text that is not a sentence.
    private static func closing(_ text: String) -> Extract {
        if let quoted = quoted(text) { return quoted }
        if let run = ProseReader.bound(in: text) { return Extract(run, nil, statement: text) }
        let isSentence = ProseWords.arePresent(in: text) || hasLines(text)
        if !isSentence || isChoice(text), let answer = choice(text, nil) ?? formula(text, nil) ?? unfinished(text, nil)
        {
            return answer
        }
        guard !isGivenUp(text), let run = ProseReader(text).closing() else { return Extract(text, nil) }
        return Extract(run, nil, statement: text)
    }

    /// `> 18`, which quotes 18 in Markdown and may also be an inequality.
    private static func quoted(_ text: String) -> Extract? {
        guard text.hasPrefix("> "), !ProseWords.arePresent(in: text), !text.contains("\n") else { return nil }
        return Extract(String(text.dropFirst(2)), nil, alternatives: [text])
    }

    /// Whether a text says that there is no answer: `I was unable to finish within 10 steps.`
    private static func isGivenUp(_ text: String) -> Bool {
        let small = text.suffix(400).lowercased()
        return [
            "i was unable to", "i am unable to", "i'm unable to", "i don't know", "i do not know", "i cannot answer",
            "could not be determined", "impossible to determine", "cannot be determined", "timeout after",
            "timed out after", "steps reached", "traceback (most recent",
        ].contains { small.contains($0) }
    }

    /// `Option (B)` alone.
    private static func isChoice(_ text: String) -> Bool {
        text.wholeMatch(of: /\s*(?i:option|choice)\s+(?:[A-Z]|\([A-Z]\))\s*\.?\s*/) != nil
    }

    /// Whether each line stands alone, like the steps of a calculation.
    private static func hasLines(_ text: String) -> Bool {
        guard text.utf8.contains(UInt8(ascii: "\n")) else { return false }
        let lines = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        guard lines.count > 1, !text.contains("\\begin"), let last = lines.last else { return false }
        return !")]}".contains(last.last ?? " ")
            && lines.dropLast().allSatisfy { !",([{=+-*/&\\$".contains($0.last ?? " ") }
    }

    // MARK: Text as text

    /// A text reduced to its words: case, brackets, punctuation and LaTeX's wrappers are dropped.
    static func words(_ text: String) -> String {
        var plain = text
        for name in ["\\textbf", "\\textit", "\\textrm", "\\textnormal", "\\text", "\\mbox", "\\mathrm", "\\mathbf"] {
            plain = plain.replacing(name, with: " ")
        }
        return plain.lowercased().split { !$0.isLetter && !$0.isNumber }.joined(separator: " ")
    }

    /// A text without what never carries meaning: white space, size commands, spacing, dollar signs and a final point.
    static func compact(_ text: String) -> String {
        var plain = text
        for (mark, replacement) in [
            ("\\left", ""), ("\\right", ""), ("\\!", ""), ("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("$", ""),
            ("\\displaystyle", ""),
        ] where plain.contains(mark) {
            plain = plain.replacing(mark, with: replacement)
        }
        var result = ""
        var previous: Character?
        var isSpaced = false
        for character in plain {
            if character.isWhitespace {
                isSpaced = true
                continue
            }
            // A blank between digits separates numbers.
            if isSpaced, let last = previous, last.isNumber || last == ",", character.isNumber { result.append(" ") }
            result.append(character)
            previous = character
            isSpaced = false
        }
        while result.hasSuffix(".") { result.removeLast() }
        return result
    }
}
