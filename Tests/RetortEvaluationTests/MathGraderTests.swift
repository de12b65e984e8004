import Foundation
import RetortCore
import RetortEvaluation
import Testing

@Suite("Mathematical answers")
struct MathGraderTests {
    private func isCorrect(_ answer: String, _ reference: String) async -> Bool {
        await MathGrader().verdict(answer, reference: reference).isCorrect
    }

    @Test(
        "what is equal, in LaTeX, plain text, Python and SymPy",
        arguments: [
            ("\\boxed{\\frac{x}{7}+\\frac{2}{7}}", "\\frac{x+2}{7}"), ("33", "033"), ("10,000", "10000"),
            ("0.5", "50\\%"), ("50", "50\\%"), ("50%", "0.5"), ("[1, 2]", "1,2"), ("{2, 1}", "1,2"),
            ("\\boxed{1,2,3}", "3,2,1"), ("(3, pi/2)", "\\left( 3, \\frac{\\pi}{2} \\right)"),
            ("sqrt(51)", "\\sqrt{51}"), ("3*sqrt(13)", "3\\sqrt{13}"), ("6 - 5*I", "6 - 5i"), ("6-5j", "6 - 5i"),
            ("Fraction(1, 2)", "\\frac{1}{2}"), ("Rational(-1,3)", "-\\frac13"),
            ("Matrix([[1], [2]])", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"),
            ("[[1, 0], [0, 1]]", "\\begin{pmatrix} 1 & 0 \\\\ 0 & 1 \\end{pmatrix}"),
            ("(1, 2)", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"), ("90", "90^\\circ"), ("90 degrees", "90^\\circ"),
            ("18.90", "\\$18.90"), ("\\boxed{1 \\pm \\sqrt{19}}", "1 \\pm \\sqrt{19}"),
            ("1-\\sqrt{19}, 1+\\sqrt{19}", "1 \\pm \\sqrt{19}"), ("(b+2)*(a+5)", "(a+5)(b+2)"), ("2x=6", "x=3"),
            ("3", "x=3"), ("12 cm", "12"), ("seven", "7"), ("9/2", "4\\frac{1}{2}"), ("4 1/2", "\\frac{9}{2}"),
            ("3.14159265", "\\pi"), ("-34x-45y+20z-100=0", "34x+45y-20z+100=0"), ("Interval.Lopen(3, 4)", "(3,4]"),
            ("Interval(2, oo)", "[2,\\infty)"), ("x > 5", "(5,\\infty)"), ("-2 <= x <= 7", "x \\in [-2,7]"),
            ("Union(Interval.open(0, 9), Interval.open(9, 36))", "(0,9) \\cup (9,36)"), ("Reals", "(-\\infty,\\infty)"),
            ("52_{8}", "52_8"), ("C", "\\text{(C)}"), ("(C) 42", "\\text{(C)}"), ("evelyn", "\\text{Evelyn}"),
            ("11111111100", "11,\\! 111,\\! 111,\\! 100"), ("1/(a*b - b**2)", "\\frac{1}{(a - b)b}"),
            ("cos(x)/sin(x)", "\\cot x"), ("2**4181", "2^{4181}"), ("2 - sqrt(3)", "\\tan 15^\\circ"),
            ("\\frac{\\sqrt{3}}{3}", "1/\\sqrt{3}"), ("p**(3/2)*30", "30p \\sqrt{p}"),
            ("FiniteSet(7, 5, 4)", "\\{4,5,7\\}"),
            ("150 cents", "1.5\\text{ dollars}"), ("0.\\overline{3}", "\\frac{1}{3}"), ("4**n", "2^{2n}"),
            ("\\frac{270}{7}", "\\frac{270}7\\text{ degrees}"), ("Eq(y, 2*x + 3)", "y = 2x + 3"),
            ("The answer is $\\frac{3}{4}$.", "0.75"), ("so we get \\boxed{2} and \\boxed{-2}", "2,-2"),
            ("He has 5 apples left over now.", "5"), ("2/3", "\\$\\dfrac23 \\approx \\$0.67"), ("ln(8)/ln(2)", "3"),
            ("pi - atan(12/5)", "\\pi - \\arctan \\frac{12}{5}"), ("x=1, y=2", "(1,2)"), ("3/5", "3:5"),
        ])
    func equal(answer: String, reference: String) async {
        let verdict = await MathGrader().verdict(answer, reference: reference)
        #expect(verdict.isCorrect, "\(verdict.reason)")
    }

    @Test(
        "what is not",
        arguments: [
            ("50", "0.5"), ("5000", "50"), ("131389.8", "13138980.0"), ("13139980", "13138980.0"), ("(1,2)", "[1,2]"),
            ("(3,4)", "(3,4]"), ("(2,1)", "(1,2)"), ("13", "x=3"), ("26", "2x=6"), ("3.14", "\\pi"), ("3.15", "\\pi"),
            ("12 m", "12\\text{ cm}"), ("x+1", "x-1"), ("2^{4180}", "2^{4181}"), ("1/2006!", "1/2004!"),
            ("1+\\frac1e", "1-\\frac1e"), ("y=3", "x=4"), ("x^5", "x^6"), ("52_7", "52_8"), ("B", "\\text{(C)}"),
            ("\\sqrt{52}", "\\sqrt{51}"), ("1,2", "1,2,3"), ("\\{1,2\\}", "(1,2)"), ("-\\frac{1}{2}", "\\frac12"),
            ("3R^2", "3r^2"), ("x < 5", "(-\\infty,5]"), ("0.33", "1/3"), ("33.0000001", "33"), ("even", "\\text{odd}"),
            ("\\begin{pmatrix} 2 \\\\ 1 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"), ("50%", "0.005"),
            ("[0, 1] \\cup [3, 4]", "[0, 1] \\cup [3, 5]"), ("y = 2x + 4", "y = 2x + 3"), ("150 cents", "15"),
        ])
    func different(answer: String, reference: String) async {
        let verdict = await MathGrader().verdict(answer, reference: reference)
        #expect(!verdict.isCorrect, "\(verdict.reason)")
    }

    @Test(
        "hostile answers are wrong, with a reason, and cost little",
        arguments: [
            String(repeating: "9", count: 3_000_000), String(repeating: "{", count: 19_000),
            String(repeating: "(", count: 100_000), "__import__('os').system('true')", "9**9**9**9", "9^{9^{9^{9}}}",
            "\\frac{1}{", "\\left( 3, ", "(x+y+z+w)^{99}", String(repeating: "(x+1)", count: 3000), "10000000!",
            String(repeating: "\\frac{", count: 3000), "1/0", "0^{-1}", "\\begin{pmatrix} 1 \\\\", "1e999999999",
            String(repeating: "x_1+", count: 4000) + "1", "\u{0}", "\\boxed{" + String(repeating: "}", count: 50_000),
            String(repeating: "\\boxed{1}", count: 100_000) + "\\boxed{", "((((((((((2^{2^{2^{2^{2^{2}}}}})))))))))!",
            "\\sqrt{" + String(repeating: "7", count: 5000) + "}", String(repeating: "1,2,", count: 4000),
            String(repeating: "He has $1 or (7) ", count: 400), String(repeating: "((1) and ", count: 800),
            String(repeating: "the answer is ", count: 500), String(repeating: "She <<1+1=2>>paid $", count: 300),
            String(repeating: "so **a** is `b` ", count: 400), String(repeating: "\\text{He has ", count: 500),
            String(repeating: "twenty and ", count: 600), String(repeating: "are (", count: 4000),
            "He " + String(repeating: "(", count: 9000) + "1" + String(repeating: ")", count: 9000) + " has",
            "He has " + String(repeating: "1 + ", count: 2000), "He has " + String(repeating: "1, ", count: 2000),
            "He has " + String(repeating: "\\( ", count: 2000), "He has " + String(repeating: "\\frac{", count: 3000),
            String(repeating: "2 out of ", count: 800), String(repeating: "He has 5 feet 6 inches ", count: 300),
            "\\binom{1000000000}{500000000}", "sin(" + String(repeating: "sin(", count: 500),
        ])
    func hostile(answer: String) async {
        for reference in ["42", "\\frac{x+2}{7}", "(1,2)"] {
            let verdict = await MathGrader().verdict(answer, reference: reference)
            #expect(!verdict.isCorrect && !verdict.reason.isEmpty)
        }
    }

    @Test("the paper's own verdicts, as its code gave them", arguments: PaperVerdicts.all)
    func paper(row: PaperVerdicts.Row) async {
        let task = AgentTask(id: "t", question: "?", answers: [row.reference], family: .math)
        let verdict = await PaperMathGrader().grade(row.answer, for: task)
        #expect(verdict.isCorrect == row.isCorrect)
    }

    @Test("SymPy decides in the sandbox what only algebra can, and Math-Verify gives a second opinion")
    func judge() async throws {
        let judge = try await SymbolicJudge(processorSeconds: 3, width: 1)
        let grader = MathGrader(judge: judge)
        for (answer, reference, isCorrect) in [
            ("2 - sqrt(3)", "\\tan 15^\\circ", true), ("sin(x)**2 + cos(x)**2", "1", true),
            ("sqrt(5 + 2*sqrt(6))", "\\sqrt{2} + \\sqrt{3}", true), ("log(2) + 1", "\\log 3", false),
        ] {
            let verdict = await grader.verdict(answer, reference: reference)
            #expect(verdict.isCorrect == isCorrect, "\(verdict.reason)")
        }
        let graders = TwoGraders(grader, second: judge)
        let task = AgentTask(id: "t", question: "?", answers: ["\\frac{1}{2}"], family: .math)
        let (verdict, opinion, disagreement) = try await graders.grade("0.5", for: task)
        #expect(verdict.isCorrect && opinion?.isEqual == true && disagreement == nil)
        // Math-Verify does not read Python's fractions.
        #expect(try await graders.grade("Fraction(1, 2)", for: task).disagreement != nil)
        // What takes it too long ends at its processor time, and the next question is answered.
        let endless = try await judge.verify(reference: "7", answer: "$9^{9^{9^{9}}} - 9^{9^{9^{8}}}$")
        #expect(endless.isEqual != true && !endless.reason.isEmpty)
        #expect(try await judge.verify(reference: "7", answer: "$7$").isEqual == true)
        await judge.close()
    }

    @Test("a grader that accepts anything or nothing fails its self-test")
    func selfTest() async throws {
        struct Constant: Grader {
            let isCorrect: Bool
            func grade(_: String?, for _: AgentTask) async -> Verdict { Verdict(isCorrect: isCorrect, reason: "") }
        }
        let tasks = ["42", "(3,4]", "\\frac{3}{4}", "x^2+1"].enumerated().map {
            AgentTask(id: "\($0.offset)", question: "?", answers: [$0.element], family: .math)
        }
        #expect(try await GraderSelfTest(tasks, grader: MathGrader()).passes)
        let lenient = try await GraderSelfTest(tasks, grader: Constant(isCorrect: true))
        #expect(lenient.accepted == 4 && lenient.rejected == 0 && !lenient.passes)
        let strict = try await GraderSelfTest(tasks, grader: Constant(isCorrect: false))
        #expect(strict.accepted == 0 && strict.altered == strict.rejected && strict.altered > 10 && !strict.passes)
    }
}

/// The reference scorer's verdicts, from running its code (section 9.1 of its description).
enum PaperVerdicts {
    struct Row: Sendable, CustomTestStringConvertible {
        let answer: String
        let reference: String
        let isCorrect: Bool

        var testDescription: String { "\(answer) for \(reference)" }
    }

    static let all: [Row] = [
        ("\\boxed{1/2}", "\\frac{1}{2}", true), ("0.5", "\\frac{1}{2}", true),
        ("\\boxed{\\frac{x}{7}+\\frac{2}{7}}", "\\frac{x+2}{7}", true),
        ("\\boxed{-34x-45y+20z-100=0}", "34x+45y-20z+100=0", true), ("33", "033", true), ("10,000", "10000", true),
        ("50", "0.5", true), ("50%", "0.5", true), ("5000", "50", true), ("131389.8", "13138980.0", true),
        ("13139980", "13138980.0", true), ("13140500", "13138980.0", false), ("[1, 2]", "1,2", true),
        ("{1, 2}", "1,2", true), ("(1,2)", "[1,2]", true), ("\\boxed{1,2,3}", "3,2,1", false),
        ("\\boxed{(3, \\frac{\\pi}{2})}", "\\left( 3, \\frac{\\pi}{2} \\right)", true),
        ("(3, pi/2)", "\\left( 3, \\frac{\\pi}{2} \\right)", false), ("sqrt(51)", "\\sqrt{51}", false),
        ("3*sqrt(13)", "3\\sqrt{13}", false), ("pi", "\\pi", false), ("6 - 5*I", "6 - 5i", false),
        ("Fraction(1, 2)", "\\frac{1}{2}", false),
        ("Matrix([[1], [2]])", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", false),
        ("\\boxed{90^\\circ}", "90^\\circ", false), ("90", "90^\\circ", false),
        ("\\boxed{\\$18.90}", "\\$18.90", false),
        ("\\boxed{1 \\pm \\sqrt{19}}", "1 \\pm \\sqrt{19}", false), ("\\boxed{(a+5)(b+2)}", "(a+5)(b+2)", false),
        ("\\boxed{2x=6}", "x=3", false), ("12 cm", "12", false), ("\\boxed{12\\text{ cm}}", "12", true),
        ("seven", "7", false), ("\\boxed{seven}", "7", true), ("\\boxed{4\\frac{1}{2}}", "\\frac{9}{2}", false),
        ("\\boxed{3.14159}", "\\pi", false), ("3.1416", "\\pi", false),
    ].map(Row.init)
}
