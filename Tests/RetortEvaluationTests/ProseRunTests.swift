import RetortCore
import Testing

@testable import RetortEvaluation

/// The values that are found in a sentence, as pieces of it.
@Suite("The values of a sentence")
struct ProseRunTests {
    private static let words = [
        "3", "40", "100", "7.5", "1/2", "2 1/2", "out of", "out", "of", "in", "chance", "odds", "ratio", "half of",
        "twice",
        "a third of", "20%", "percent", "the square root of", "feet", "inches", "hours", "minutes", "and", "three",
        "a half", "dozen", "$", "(", ")", "[1]", "at least", "less than", "=", "x =", "-", "+", "^", "{", "}", ":", ",",
        ".",
        "?", "to", "when", "with", "is", "the answer is", "minus", "choose", "_", "m/s^2", "1.2.3", "\\frac12", "\n",
    ]

    /// Texts of one to sixteen words each, the same in every run.
    private static let texts: [String] = {
        var generator = SeededGenerator(seed: 11)
        return (0..<1500).map { _ in
            (0..<Int.random(in: 1...16, using: &generator))
                .map { _ in words[Int.random(in: 0..<words.count, using: &generator)] }.joined(separator: " ")
        }
    }()

    @Test("are disjoint and in the order of the text, whatever its words")
    func disjoint() {
        for text in Self.texts {
            let runs = ProseRuns(ProseLexer.pieces(text))
            let all = runs.all(in: 0..<runs.pieces.count)
            for (first, second) in zip(all, all.dropFirst()) {
                #expect(first.range.upperBound <= second.range.lowerBound, "\(text)")
            }
            #expect(all.allSatisfy { !$0.range.isEmpty }, "\(text)")
        }
    }

    @Test("and none of these texts ends the process, in any place of an answer")
    func anyText() async {
        for text in Self.texts.prefix(150) {
            for answer in [
                text, "#### \(text)", "The answer is \(text)", "\\boxed{\\text{\(text)}}", "\(text) is the answer.",
            ] {
                _ = AnswerText.extract(answer)
            }
        }
    }

    @Test(
        "a share is one value, wherever it is stated",
        arguments: [
            "#### 12 out of 30", "The answer is 12 out of 30.", "\\boxed{12 out of 30}", "So it was 12 out of the 30.",
            "\\boxed{\\text{(C) 12 out of 30}}", "<answer>12 out of 30</answer>", "12 out of 30 is the answer.",
        ])
    func shares(text: String) async {
        for (reference, isCorrect) in [("12", true), ("\\frac{2}{5}", true), ("30", false)] {
            let verdict = await MathGrader().verdict(text, reference: reference)
            #expect(verdict.isCorrect == isCorrect, "\(reference): \(verdict.reason)")
        }
    }

    @Test("and so is a chance", arguments: ["Answer: 2 in 9 chance", "#### 2 in 9 odds", "Her chance is 2 in 9."])
    func chances(text: String) async {
        for (reference, isCorrect) in [("\\frac{2}{9}", true), ("9", false)] {
            let verdict = await MathGrader().verdict(text, reference: reference)
            #expect(verdict.isCorrect == isCorrect, "\(reference): \(verdict.reason)")
        }
    }
}
