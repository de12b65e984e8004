/// Where a text states its answer: `The answer is`, `Final answer:`, `A:` on its last line.
struct AnswerPhrase {
    /// The text after the phrase, to the end.
    let rest: Substring
    /// Whether the answer is called final.
    let isFinal: Bool
    /// Whether it is a colon or a line of its own, which may also introduce a whole solution.
    let isHeading: Bool

    /// The last one in a text.
    static func last(in text: String) -> AnswerPhrase? {
        guard text.utf8.contains(where: { "AaFfCc".utf8.contains($0) }) else { return nil }
        let characters = Array(text)
        if let short = shortForm(characters) { return short.phrase(text, characters) }
        let small = characters.map(small)
        var index = small.count - 1
        while index >= 0 {
            if "afc".contains(small[index]), let found = phrase(small, at: index) {
                return found.phrase(text, characters)
            }
            index -= 1
        }
        return nil
    }

    private static func small(_ character: Character) -> Character {
        guard let value = character.asciiValue, (65...90).contains(value) else { return character }
        return Character(UnicodeScalar(value + 32))
    }

    private struct Found {
        let end: Int
        let isFinal: Bool
        let isHeading: Bool

        func phrase(_ text: String, _ characters: [Character]) -> AnswerPhrase {
            let rest = text.suffix(characters.count - end)
            return AnswerPhrase(rest: rest, isFinal: isFinal, isHeading: isHeading)
        }
    }

    /// `A: 18` as the last line, as GSM8K's model solutions end, or after a question mark.
    private static func shortForm(_ characters: [Character]) -> Found? {
        var end = characters.count
        while end > 0, characters[end - 1].isWhitespace { end -= 1 }
        let start = characters[..<end].lastIndex(of: "\n").map { $0 + 1 } ?? 0
        var index = start
        while index < end, "*_# ".contains(characters[index]) { index += 1 }
        if start > 0 || index + 1 < end, let found = short(characters, at: index, end) { return found }
        // `Q: How many? A: 18`
        if let question = characters[start..<end].lastIndex(of: "?") {
            index = question + 1
            while index < end, characters[index] == " " { index += 1 }
            return short(characters, at: index, end)
        }
        return nil
    }

    private static func short(_ characters: [Character], at index: Int, _ end: Int) -> Found? {
        guard index + 1 < end, characters[index] == "A", characters[index + 1] == ":" else { return nil }
        return Found(end: index + 2, isFinal: false, isHeading: true)
    }

    // MARK: In words

    private static let nouns: [(word: [Character], isFinal: Bool)] = [
        (Array("final result"), true), (Array("final value"), true), (Array("final total"), true),
        (Array("correct option"), false), (Array("correct choice"), false), (Array("answers"), false),
        (Array("answer"), false), (Array("ans"), false),
    ]
    private static let verbs: Set<String> = ["is", "are", "was", "equals", "becomes", "be"]
    /// Before `answer`, these words make it a verb, or somebody else's answer.
    private static let others: Set<String> = [
        "to", "can", "we", "will", "could", "you", "not", "must", "please", "me", "i", "no", "any", "wrong",
        "incorrect", "possible", "which", "an",
    ]

    private static func phrase(_ text: [Character], at start: Int) -> Found? {
        guard start == 0 || !(text[start - 1].isLetter || text[start - 1] == "<" || text[start - 1] == "/"),
            let noun = nouns.first(where: { text[start...].starts(with: $0.word) })
        else { return nil }
        let end = start + noun.word.count
        guard end == text.count || !text[end].isLetter else { return nil }
        let before = word(before: start, in: text)
        guard !others.contains(before), !isObject(start, in: text), !isSupposed(start, in: text) else { return nil }
        let isFinal = noun.isFinal || before == "final"
        var index = end
        while index < text.count, "*_\" ".contains(text[index]) { index += 1 }
        guard index < text.count else { return nil }
        if ":=—".contains(text[index]) || (noun.word == Array("ans") && text[index] == ".") {
            return Found(end: index + 1, isFinal: isFinal, isHeading: true)
        }
        let isLine = isStart(of: start, in: text) || isFinal
        if isLine,
            text[index].isNumber || "$\\".contains(text[index]) || startsNegative(text, index) || text[index] == "\n"
        {
            return Found(end: index, isFinal: isFinal, isHeading: true)
        }
        return verb(text, from: index, isFinal: isFinal)
    }

    /// `convert the answer to weeks: 28/7`, `express your answer as a percentage`: these do not state the answer.
    private static func isObject(_ start: Int, in text: [Character]) -> Bool {
        tasks.contains(lead(of: start, in: text))
    }

    /// `If the answer is 18`, `whether the answer is 18`, `Could the answer be 18?`
    private static func isSupposed(_ start: Int, in text: [Character]) -> Bool {
        ProseWords.suppositions.contains(lead(of: start, in: text))
    }

    /// The word before `the answer` and its like, in lower case; empty where none is.
    private static func lead(of start: Int, in text: [Character]) -> String {
        var place = start
        for _ in 0..<3 {
            let before = word(before: place, in: text).lowercased()
            guard ["the", "your", "our", "my", "this", "that", "final", "correct"].contains(before) else {
                return before
            }
            while place > 0, " *_".contains(text[place - 1]) { place -= 1 }
            place -= before.count
        }
        return ""
    }

    private static let tasks: Set<String> = [
        "express", "convert", "give", "write", "find", "get", "round", "put", "state", "report", "provide", "calculate",
        "compute", "check", "box", "enter", "simplify", "make", "turn", "present", "verify", "determine",
    ]

    private static func startsNegative(_ text: [Character], _ index: Int) -> Bool {
        text[index] == "-" && index + 1 < text.count && text[index + 1].isNumber
    }

    /// The verb that leads to the answer, at most sixty characters later in the same sentence.
    private static func verb(_ text: [Character], from start: Int, isFinal: Bool) -> Found? {
        var index = start
        while index < text.count, index < start + 60 {
            let character = text[index]
            if character == "\n" || character == "?" || character == "=" { return nil }
            if character == ".", index + 1 >= text.count || !text[index + 1].isNumber { return nil }
            if character == ":" { return Found(end: index + 1, isFinal: isFinal, isHeading: true) }
            guard character.isLetter, !text[index - 1].isLetter else {
                index += 1
                continue
            }
            var end = index
            while end < text.count, text[end].isLetter { end += 1 }
            if verbs.contains(String(text[index..<end])) {
                // Neither `cannot be` nor `is not`, `isn't`.
                let lead = String(text[start..<index]).lowercased()
                if lead.hasSuffix("not ") || lead.hasSuffix("n't ") || lead.hasSuffix("never ") { return nil }
                let next = text[end...].drop { $0 == " " }
                if next.starts(with: "not ") || next.first == "'" { return nil }
                return Found(end: end, isFinal: isFinal, isHeading: false)
            }
            index = end
        }
        return nil
    }

    private static func word(before index: Int, in text: [Character]) -> String {
        var end = index
        while end > 0, " *_".contains(text[end - 1]) { end -= 1 }
        var start = end
        while start > 0, text[start - 1].isLetter { start -= 1 }
        return String(text[start..<end])
    }

    /// Whether only Markdown marks and `final` stand between the start of the line and here.
    private static func isStart(of index: Int, in text: [Character]) -> Bool {
        var place = index
        while place > 0, text[place - 1] != "\n" {
            guard "*_#> ".contains(text[place - 1]) else { return false }
            place -= 1
        }
        return true
    }

    /// The words that take an answer back; nil when there are none.
    static func retraction(in text: some StringProtocol) -> String? {
        let small = text.lowercased()
        let marks = [
            "wait,", "wait.", "wait:", "wait -", "wait—", "correction", "oops", "i made a mistake", "i made an error",
            "that is wrong", "that's wrong", "that is incorrect", "that's incorrect", "that was wrong", "actually, ",
            "actually it", "scratch that", "no, that",
        ]
        guard let range = marks.compactMap({ small.ranges(of: $0).last }).max(by: { $0.lowerBound < $1.lowerBound })
        else { return nil }
        return String(small[range.upperBound...])
    }
}
