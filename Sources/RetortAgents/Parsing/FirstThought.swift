import RetortCore

/// The first thought of a worked solution, as the beginning of an agent's first turn (arXiv 2505.17612, section 3.1).
///
/// The original takes the text before the first blank line as it is. A solution of one paragraph then gives itself away
/// with its answer, one that begins with a heading gives the heading, and both are learned from. Here headings, list marks
/// and private thinking are passed over, and the thought ends before the first sentence that tells the answer, at the
/// last whole sentence within a length, and before the conclusion of a solution that has no second paragraph.
public enum FirstThought: Sendable, Hashable {
    /// What was done to a solution to get a usable thought.
    public enum Repair: String, Sendable, Hashable, CaseIterable, Codable {
        case headingSkipped = "a heading was passed over"
        case markRemoved = "a list mark or label was removed"
        case shortened = "it was ended at a whole sentence"
        case conclusionRemoved = "the only paragraph's conclusion was left out"
        case answerRemoved = "it was ended before the answer"
    }

    /// Why a solution has no usable thought.
    public enum Fault: String, Sendable, Hashable, CaseIterable, Codable {
        case empty = "the solution is empty"
        case onlyHeadings = "the solution has nothing but headings and marks"
        case answerAtOnce = "the first sentence tells the answer"
        case tooLong = "the first sentence is too long"
        case onlyConclusion = "the solution is one sentence"
    }

    case usable(String, [Repair])
    case unusable(Fault)

    /// Reads a solution.
    /// - Parameters:
    ///   - answers: the reference answers, where they are known.
    ///   - isWhole: whether the text was not cut at a token limit.
    ///   - limit: the longest thought, in characters.
    public init(of solution: String, question: String, answers: [String] = [], isWhole: Bool = true, limit: Int = 400) {
        let text = ActionParser.withoutThinking(solution)
        var repairs: [Repair] = []
        var paragraphs = Self.paragraphs(of: text)[...]
        guard !paragraphs.isEmpty else {
            self = .unusable(.empty)
            return
        }
        while let first = paragraphs.first, Self.isHeading(first) {
            paragraphs.removeFirst()
            repairs.append(.headingSkipped)
        }
        guard let paragraph = paragraphs.first else {
            self = .unusable(.onlyHeadings)
            return
        }
        let bare = Self.withoutMarks(paragraph)
        if bare != paragraph { repairs.append(.markRemoved) }
        var sentences = Self.sentences(of: bare)[...]
        // Nothing but marks, such as `* * *` or `> >`.
        guard !sentences.isEmpty else {
            self = .unusable(.onlyHeadings)
            return
        }
        if !isWhole, paragraphs.count == 1 {
            sentences.removeLast()
            repairs.append(.shortened)
        } else if paragraphs.count == 1 {
            guard sentences.count > 1 else {
                self = .unusable(.onlyConclusion)
                return
            }
            sentences.removeLast()
            repairs.append(.conclusionRemoved)
        }
        let secrets = Self.secrets(answers + Self.ownAnswers(in: text), question: question)
        if let leak = sentences.firstIndex(where: { Self.tells($0, secrets) }) {
            sentences = sentences[..<leak]
            repairs.append(.answerRemoved)
            guard !sentences.isEmpty else {
                self = .unusable(.answerAtOnce)
                return
            }
        }
        var thought = ""
        for sentence in sentences {
            guard thought.count + sentence.count <= limit else {
                repairs.append(.shortened)
                break
            }
            thought += sentence
        }
        self = thought.trimmed.isEmpty ? .unusable(.tooLong) : .usable(thought.trimmed, Array(Set(repairs)).sorted())
    }

    // MARK: Reading

    private static func paragraphs(of text: String) -> [String] {
        var paragraphs: [[Substring]] = [[]]
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            if line.trimmed.isEmpty {
                paragraphs.append([])
            } else {
                // A heading is a paragraph whether or not a blank line follows it.
                if isHeading(line.trimmed) {
                    paragraphs += [[line], []]
                } else {
                    paragraphs[paragraphs.count - 1].append(line)
                }
            }
        }
        return paragraphs.map { $0.joined(separator: "\n").trimmed }.filter { !$0.isEmpty }
    }

    /// One line that announces and says nothing: `## Step 1`, `**Plan**`, `Step 1:`, `---`.
    private static func isHeading(_ paragraph: String) -> Bool {
        guard !paragraph.contains(where: \.isNewline) else { return false }
        if paragraph.hasPrefix("#") || paragraph.allSatisfy({ "-=*_`".contains($0) }) || paragraph.hasPrefix("```") {
            return true
        }
        let plain = paragraph.replacing("**", with: "").trimmed
        let isEmphasised = paragraph.hasPrefix("**") && (paragraph.hasSuffix("**") || paragraph.hasSuffix("**:"))
        if isEmphasised, plain.last.map({ !".?!".contains($0) }) ?? true { return true }
        return plain.count <= 60 && plain.hasSuffix(":")
    }

    /// Without `1.`, `-`, `Step 1:`, `Thought:` and emphasis at the start.
    private static func withoutMarks(_ paragraph: String) -> String {
        var text = Substring(paragraph)
        while true {
            let before = text
            text = text.drop { $0.isWhitespace || "-*•>".contains($0) }
            for label in ["Thought", "Step", "Reasoning", "Solution", "Explanation"] where text.hasPrefix(label) {
                let rest = text.dropFirst(label.count).drop { $0.isNumber || $0 == " " || $0 == "*" }
                if rest.first == ":" || (rest.first == "." && label == "Step") { text = rest.dropFirst() }
            }
            let number = text.prefix { $0.isNumber }
            if (1...2).contains(number.count), let mark = text.dropFirst(number.count).first, ".)".contains(mark),
                text.dropFirst(number.count + 1).first?.isWhitespace == true
            {
                text = text.dropFirst(number.count + 1)
            }
            if text == before { return text.trimmed.replacing("**", with: "") }
        }
    }

    /// Each with the blanks that follow it. A full stop within a number or after a single letter ends nothing.
    static func sentences(of text: String) -> [String] {
        var sentences: [String] = []
        var current = ""
        var isEnding = false
        for character in text {
            if isEnding, !character.isWhitespace {
                sentences.append(current)
                current = ""
            }
            isEnding = character.isNewline || (character.isWhitespace && (isEnding || endsSentence(current)))
            current.append(character)
        }
        if !current.trimmed.isEmpty { sentences.append(current) }
        return sentences
    }

    private static func endsSentence(_ text: String) -> Bool {
        guard let last = text.last, ".?!".contains(last) else { return false }
        return last != "." || !isInitial(text)
    }

    /// Whether the text ends like `J.` in `J. Smith`.
    private static func isInitial(_ text: some StringProtocol) -> Bool {
        let word = text.split(whereSeparator: \.isWhitespace).last ?? ""
        return word.count == 2 && word.first?.isUppercase == true && word.last == "."
    }

    // MARK: Leaks

    /// What the solution itself answers.
    private static func ownAnswers(in text: String) -> [String] {
        if case .answer(let value) = ActionParser.reasonedTurn(text).action { return [value.text] }
        return []
    }

    /// The answers that the question does not already name.
    private static func secrets(_ answers: [String], question: String) -> [String] {
        answers.map { $0.trimmed }.filter { !$0.isEmpty && !question.containsWord($0) }
    }

    private static func tells(_ sentence: String, _ secrets: [String]) -> Bool {
        let marks = ["Answer:", "\\boxed", "<answer>", "final_answer"]
        return marks.contains { sentence.contains($0) } || secrets.contains { sentence.containsWord($0) }
    }
}

extension FirstThought.Repair: Comparable {
    /// By their order.
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

extension String {
    /// Whether a text occurs, whatever its case, with no letter or digit right before or after it.
    public func containsWord(_ word: String) -> Bool {
        let text = lowercased()
        return text.ranges(of: word.lowercased()).contains { range in
            let before = range.lowerBound == text.startIndex ? nil : text[text.index(before: range.lowerBound)]
            let after = range.upperBound == text.endIndex ? nil : text[range.upperBound]
            return ![before, after].contains { $0.map { $0.isLetter || $0.isNumber } ?? false }
        }
    }
}
