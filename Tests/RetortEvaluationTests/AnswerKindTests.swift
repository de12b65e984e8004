import RetortCore
import Testing

@testable import RetortEvaluation

/// A pair and its right verdict.
private struct Pair: CustomTestStringConvertible, Sendable {
    let answer, reference: String
    let isRight: Bool
    var testDescription: String { "\(answer) \(isRight ? "=" : "≠") \(reference)" }

    init(_ answer: String, _ reference: String, _ isRight: Bool) {
        (self.answer, self.reference, self.isRight) = (answer, reference, isRight)
    }
}

private func grade(_ pair: Pair, by grader: any Grader) async -> Verdict {
    await grader.grade(
        pair.answer, for: AgentTask(id: "t", question: "q", answers: [pair.reference], family: .math))
}

private func expect(_ pair: Pair, by grader: any Grader) async {
    let verdict = await grade(pair, by: grader)
    #expect(verdict.isCorrect == pair.isRight, "\(verdict.reason)")
}

@Suite("Kinds of answers")
struct AnswerKindTests {
    @Test(
        "mathematics by its value, whatever signs and words surround it",
        arguments: [
            // Signs.
            Pair("\\boxed{\u{2011}7}", "-7", true), Pair("x = \u{2012}7", "7", false),
            Pair("so it is \u{2013}$8.", "-8", true),
            Pair("３４", "34", true), Pair("1\u{2044}4", "0.25", true), Pair("y⁵", "y⁵", true),
            Pair("<b>9</b>", "9", true),
            // Inequalities are not their bounds.
            Pair("\\boxed{\\ge 6}", "6", false), Pair("The answer is < 6.", "6", false),
            Pair("less than 6", "6", false),
            // Brackets that say where a number comes from.
            Pair("The answer is 30 (15 + 15).", "30", true), Pair("\\boxed{10 (5 \\times 2)}", "100", false),
            Pair("3 (4 + 1)", "15", true),
            // Scales and powers in words.
            Pair("\\boxed{3\\text{ million}}", "3000000", true), Pair("\\boxed{3\\text{ million}}", "3", false),
            Pair("The answer is $4$ thousand.", "4000", true), Pair("It weighs 2 thousand kilograms.", "2000", true),
            Pair("6 squared", "36", true), Pair("The answer is the square root of 49.", "7", true),
            Pair("half of 18", "9", true),
            Pair("2 to the power of 5", "32", true), Pair("20 percent of 40", "8", true), Pair("2 thirds", "2/3", true),
            // Units and words behind a number.
            Pair("36 km/h", "10 m/s", true), Pair("18 m/s", "18 km/h", false),
            Pair("4\\text{ cm}^2", "4\\text{ m}^2", false),
            Pair("20 °C", "20 °F", false), Pair("3 units left", "3 units right", false),
            Pair("7 apples", "7 fruits", true), Pair("4\\text{ ^ }", "4 cm", true), Pair("3 pq", "3", false),
            Pair("6 eggs", "6", true),
            Pair("He was unable to sell 4 of them, so 9 are left.", "9", true),
            Pair("9:10 am", "9:10 pm", false), Pair("9:10 am", "9:10", true),
            Pair("x\\text{ rises}", "x\\text{ falls}", false),
            // What is not written out, and what is named.
            Pair("2,4,6,\\ldots", "2,4,6", false), Pair("2,4,6,\\ldots", "2,4,6,\\ldots", true),
            Pair("(3,5)", "x=5, y=3", false), Pair("(5,3)", "x=5, y=3", true), Pair("4 = x", "4", true),
            Pair("n^m", "(n, m)", false),
            Pair("\\bar{w}", "w", false),
            Pair("\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "-2", true), Pair("2023-05-04", "2014", false),
            // Sentences that deny, correct or give up.
            Pair("The answer cannot be 8.", "8", false), Pair("8 is not the answer.", "8", false),
            Pair("all but 8", "8", false),
            Pair("The answer is 8. Actually it is 12.", "12", true),
            Pair("I was unable to finish within 8 steps.", "8", false),
            Pair("There were 5 owls on May 3. They saw 9 owls on July 4.", "9", true),
            Pair("Ann will be 9 in 4 years.", "9", true),
            Pair("The price rose to 40 from 32.", "40", true),
        ])
    fileprivate func mathematics(pair: Pair) async {
        await expect(pair, by: MathGrader())
    }

    @Test(
        "choices: the one that is decided for, not another that is named beside it",
        arguments: [
            Pair("The answer is (C), not (D).", "(C)", true), Pair("The answer is (C), not (D).", "(D)", false),
            Pair("(A) or (B)", "(A)", false), Pair("(A) is wrong, so (D)", "(D)", true),
            Pair("(A) is wrong, so (D)", "(A)", false),
            Pair("The answer is (B) because (E) is too large.", "(E)", false), Pair("Not (B)", "(B)", false),
            Pair("I cannot decide between (A) and (B).", "(B)", false),
        ])
    fileprivate func choices(pair: Pair) async {
        await expect(pair, by: MathGrader())
        await expect(pair, by: ChoiceGrader())
    }

    @Test(
        "the grader of choices reads letters with and without their texts",
        arguments: [
            Pair("\\boxed{\\textbf{(D)}\\ 40}", "D", true), Pair("Answer: D) 40", "D", true), Pair("(d) 40", "D", true),
            Pair("`D`", "D", true), Pair("D is correct", "D", true), Pair("I pick D", "D", true),
            Pair("D:40", "D", true),
            Pair("A. 1\nB. 2\nD", "D", true), Pair("A) 1 B) 2 C) 3", "A", false), Pair("A dog", "A", false),
            Pair("A) Oslo is wrong. The answer is B) Bern.", "B", true),
            Pair("A) Oslo is wrong. The answer is B) Bern.", "A", false),
        ])
    fileprivate func letters(pair: Pair) async {
        await expect(pair, by: ChoiceGrader())
    }

    @Test(
        "numbers keep their marks where words are compared",
        arguments: [
            Pair("25", "2.5", false), Pair("It was -3 degrees", "3 degrees", false), Pair("1130", "11:30", false),
            Pair("14", "1/4", false), Pair("1,250 people", "1250 people", true), Pair("yes/no", "yes", true),
            Pair("the C language", "C#", false), Pair("blood type A", "A", true),
            Pair("the U.S. Navy", "US Navy", true),
        ])
    fileprivate func words(pair: Pair) async {
        await expect(pair, by: ContainsGrader())
    }

    @Test(
        "exact matches tell numbers apart by sign, point, currency and leading zeros",
        arguments: [
            Pair(".5 miles", "5 miles", false), Pair("-$6 million", "$6 million", false), Pair("€6", "$6", false),
            Pair("6", "$6", true), Pair("007", "7", false), Pair("7.0", "7", true), Pair("Co-op", "coop", true),
            Pair("C#", "C", false), Pair("O-", "O", false), Pair("10³", "103", false), Pair("1;5", "15", false),
        ])
    fileprivate func exact(pair: Pair) async {
        await expect(pair, by: ExactGrader())
        #expect(ExactGrader.f1("15", ["1.5"]) == 0)
    }

    @Test("whole numbers are compared exactly unless a tolerance is named")
    func wholes() async throws {
        func rows(_ a: String, _ b: String, _ tolerance: Double?) async -> Bool {
            await grade(Pair(a, b, true), by: RowsGrader(isOrdered: false, tolerance: tolerance)).isCorrect
        }
        #expect(await !rows("[[20240115]]", "[[20240116]]", nil))
        #expect(await rows("[[20240115]]", "[[20240116]]", 1e-6))
        #expect(await rows("[[0.3333333]]", "[[0.33333334]]", nil))
        let json = StructureGrader(tolerance: 0)
        #expect(
            await !grade(Pair("{\"id\": 9223372036854775807}", "{\"id\": 9223372036854775806}", true), by: json)
                .isCorrect
        )
        #expect(await grade(Pair("{\"id\": 5.0}", "{\"id\": 5}", true), by: json).isCorrect)
        #expect(await !grade(Pair("10000000001", "10000000000", true), by: NumberGrader(tolerance: 0)).isCorrect)
        #expect(await grade(Pair("0.1", "0.10000000001", true), by: NumberGrader(tolerance: 0)).isCorrect)
    }
}
