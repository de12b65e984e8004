import Foundation
import RetortCore

/// Grades mathematical answers by value: numbers exactly, expressions by algebra, lists, intervals, matrices and
/// equations part by part. LaTeX, plain text, Python and SymPy text are understood on both sides.
///
/// What only algebra can decide goes to SymPy when a judge is given; without one, agreement at several points to ten
/// digits counts, and the reason says so. The cost of an answer is bounded by `MathLimits`.
public struct MathGrader: Grader {
    private let judge: SymbolicJudge?

    /// - Parameter judge: decides by SymPy and Math-Verify what Retort's own arithmetic cannot; nil uses neither.
    public init(judge: SymbolicJudge? = nil) { self.judge = judge }

    /// Grades against each reference until one accepts the answer; the reason is that of the last one tried.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        guard let answer, !answer.allSatisfy(\.isWhitespace) else {
            return Verdict(isCorrect: false, reason: "no answer")
        }
        let references = task.answers.filter { !$0.allSatisfy(\.isWhitespace) }
        guard !references.isEmpty else { return Verdict(isCorrect: false, reason: "no reference answer") }
        var last = Verdict(isCorrect: false, reason: "no reference answer")
        for reference in references {
            last = await verdict(answer, reference: reference)
            if last.isCorrect { return last }
        }
        return last
    }

    /// Grades an answer against one reference.
    public func verdict(_ answer: String, reference: String) async -> Verdict {
        // U+202E shows the text after it from right to left: a reader sees 24 where the text is 42.
        guard !answer.unicodeScalars.contains("\u{202E}") else {
            return Verdict(
                isCorrect: false, reason: "a mark in it turns its characters round, so that it reads otherwise")
        }
        let reference = CleanText.of(reference)
        let extract = AnswerText.extract(answer)
        var found = await compare(extract.text, reference)
        if !found.isCorrect, let verdict = sameWords(extract.statement, reference) { found = verdict }
        for other in extract.alternatives where !found.isCorrect {
            let verdict = await compare(other, reference)
            if verdict.isCorrect { found = verdict }
        }
        guard let place = extract.place else { return found }
        return Verdict(isCorrect: found.isCorrect, reason: "\(found.reason) (\(place))")
    }

    private func sameWords(_ statement: String, _ reference: String) -> Verdict? {
        if AnswerText.compact(statement) == AnswerText.compact(reference), !reference.isEmpty {
            return Verdict(isCorrect: true, reason: "the same text")
        }
        return WordAnswer.compare(statement, reference)
    }

    private func compare(_ answer: String, _ reference: String) async -> Verdict {
        guard !answer.allSatisfy(\.isWhitespace) else { return Verdict(isCorrect: false, reason: "no answer") }
        guard answer.utf8.count < MathLimits.text else {
            return Verdict(isCorrect: false, reason: "longer than \(MathLimits.text) bytes")
        }
        if AnswerText.compact(answer) == AnswerText.compact(reference) {
            return Verdict(isCorrect: true, reason: "the same text")
        }
        if let verdict = WordAnswer.compare(answer, reference) { return verdict }
        if Self.isDate(answer) || Self.isDate(reference) { return Verdict(isCorrect: false, reason: "another date") }
        let references = Self.readings(reference)
        let answers = Self.readings(answer)
        guard !references.nodes.isEmpty, !answers.nodes.isEmpty else {
            let fault = answers.fault ?? references.fault
            let side = answers.nodes.isEmpty ? "the answer" : "the reference"
            return await unreadable(
                answer, reference, reason: "\(side) is not understood: \(fault ?? "no mathematics")")
        }
        // The likeliest readings come first; their reason explains why an answer is wrong.
        var reason: String?
        for b in answers.nodes {
            for a in references.nodes {
                let verdict = await compare(a, b)
                if verdict.isCorrect { return verdict }
                reason = reason ?? verdict.reason
            }
        }
        return Verdict(isCorrect: false, reason: reason ?? "another value")
    }

    /// `2024-01-15` and `4/2/2024`, which are neither differences nor quotients; so is the telephone number `555-1234`.
    static func isDate(_ text: String) -> Bool {
        guard text.utf8.count < 16 else { return false }
        let plain = text.trimmingCharacters(in: .whitespacesAndNewlines)
        func lengths(_ separator: Character) -> [Int]? {
            let parts = plain.split(separator: separator, omittingEmptySubsequences: false)
            return parts.allSatisfy { $0.allSatisfy(\.isASCIIDigit) } ? parts.map(\.count) : nil
        }
        if let dashed = lengths("-"), dashed == [4, 2, 2] || dashed == [3, 4] { return true }
        guard let slashed = lengths("/"), slashed.count == 3 else { return false }
        return (1...2).contains(slashed[0]) && (1...2).contains(slashed[1]) && slashed[2] == 4
    }

    /// The possible readings of a text: `1,234` is a number, or else a list of two.
    static func readings(_ text: String) -> (nodes: [MathNode], fault: String?) {
        var nodes: [MathNode] = []
        var fault: String?
        // Python's spelling of a NumPy number.
        let text =
            text.contains("np.") ? text.replacing(/np\.(?:float|u?int)(?:8|16|32|64)\(([^()]*)\)/) { $0.1 } : text
        for groups in [true, false] {
            if !groups, !text.utf8.contains(UInt8(ascii: ",")) || text.firstMatch(of: /[0-9],[0-9]{3}/) == nil { break }
            do {
                let node = try MathParser.parse(text, groupsThousands: groups)
                if !nodes.contains(node) { nodes.append(node) }
            } catch MathFault.tooLarge {
                fault = tooLarge
            } catch {
                fault = fault ?? "\(error)"
            }
        }
        return (nodes, fault)
    }

    private func compare(_ reference: MathNode, _ answer: MathNode) async -> Verdict {
        var known: [SymbolicQuestion: MathOutcome] = [:]
        // Each round answers all open questions; nesting needs only a few rounds.
        for _ in 0..<4 {
            var comparison = MathComparison(known: known)
            switch comparison.compare(reference, answer) {
            case .equal(let reason): return Verdict(isCorrect: true, reason: reason)
            case .different(let reason): return Verdict(isCorrect: false, reason: reason)
            case .undecided:
                guard comparison.open.count <= 16 else {
                    return Verdict(isCorrect: false, reason: "more than 16 parts are undecided")
                }
                for question in comparison.open { known[question] = await decide(question) }
            }
        }
        return Verdict(isCorrect: false, reason: "undecided")
    }

    private func decide(_ question: SymbolicQuestion) async -> MathOutcome {
        if let judge {
            do {
                let opinion = try await judge.areEqual(question)
                if let isEqual = opinion.isEqual {
                    return isEqual ? .equal(opinion.reason) : .different(opinion.reason)
                }
                return .different("undecided: \(opinion.reason)")
            } catch {
                return .different("undecided: \(error)")
            }
        }
        let isSame = NumericValue.compare(question.reference, question.answer) == .same
        return isSame ? .equal("equal to ten digits at several points") : .different("too large to decide")
    }

    static let tooLarge = "it is too large"

    /// Math-Verify may understand what our parser does not, when it is a formula; from a sentence it would take any
    /// number.
    private func unreadable(_ answer: String, _ reference: String, reason: String) async -> Verdict {
        // What is too large for our parser is too much work for Math-Verify.
        guard !reason.hasSuffix(Self.tooLarge), let judge, !ProseWords.arePresent(in: answer),
            let opinion = try? await judge.verifyFormula(reference: reference, answer: answer),
            opinion.isEqual == true
        else { return Verdict(isCorrect: false, reason: reason) }
        return Verdict(isCorrect: true, reason: "equal to Math-Verify; \(reason)")
    }
}

/// Answers that are words or the letter of a choice.
enum WordAnswer {
    /// A verdict when the reference is a word or a choice; nil when it is mathematics.
    static func compare(_ answer: String, _ reference: String) -> Verdict? {
        if let letter = choice(reference) {
            let words = AnswerText.words(answer).split(separator: " ")
            let named = NamedChoice.isNamed(in: answer) ? NamedChoice.letter(in: answer) : ChoiceLabel(answer)?.letter
            let isSame = words.count == 1 ? words[0] == letter : named?.lowercased() == letter
            if isSame { return Verdict(isCorrect: true, reason: "the same choice") }
            return nil
        }
        guard isWords(reference) else { return nil }
        let (given, words) = (AnswerText.words(answer), AnswerText.words(reference))
        // `The slope is undefined.`
        let isStated = given.hasSuffix(" is \(words)") || given.hasSuffix(" are \(words)")
        let isSame = given == words || isStated && !given.hasPrefix("it is not") && !given.contains(" not true")
        return isSame && !words.isEmpty ? Verdict(isCorrect: true, reason: "the same words") : nil
    }

    /// `(C)` or `\text{(C)}`; a bare letter may be a variable.
    private static func choice(_ text: String) -> String? {
        // Swift parses an expression each time it is met, and most references are numbers.
        guard text.utf8.contains(UInt8(ascii: "(")) || text.utf8.contains(UInt8(ascii: "\\")) else { return nil }
        let pattern = /^\s*(?:\\(?:text|mathrm|textbf)\s*\{\s*\(?([A-Z])\)?\s*\}|\(([A-Z])\))\s*$/
        guard let match = text.firstMatch(of: pattern) else { return nil }
        return (match.1 ?? match.2)?.lowercased()
    }

    /// Words of at least three letters in all, perhaps in `\text{}`, without any mathematics.
    private static func isWords(_ text: String) -> Bool {
        guard text.contains(where: \.isLetter) else { return false }
        let plain =
            text.utf8.contains(UInt8(ascii: "\\"))
            ? text.replacing(/\\(?:text|mbox|textbf|textit|textrm|mathrm|textnormal)/, with: "") : text
        let runs = plain.split { !$0.isLetter }
        return runs.contains { $0.count > 1 } && AnswerText.words(plain).count > 2
            && plain.allSatisfy { $0.isLetter || $0.isWhitespace || "{}.,'()".contains($0) }
    }
}
