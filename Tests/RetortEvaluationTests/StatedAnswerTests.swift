import RetortCore
import RetortEvaluation
import Testing

/// Which of several values a text states as its answer.
@Suite("The stated answer")
struct StatedAnswerTests {
    /// A text with the answer that it states and others that it mentions.
    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        let answer: String?
        let others: [String]

        init(_ text: String, _ answer: String?, not others: String...) {
            (self.text, self.answer, self.others) = (text, answer, others)
        }

        var testDescription: String { text }
    }

    private func check(_ row: Case) async {
        if let answer = row.answer {
            let verdict = await MathGrader().verdict(row.text, reference: answer)
            #expect(verdict.isCorrect, "\(answer): \(verdict.reason)")
        }
        for other in row.others {
            let verdict = await MathGrader().verdict(row.text, reference: other)
            #expect(!verdict.isCorrect, "\(other): \(verdict.reason)")
        }
    }

    @Test(
        "a value that is called the answer is one, and what is called wrong is none",
        arguments: [
            Case("25 is the answer. It took 3 steps.", "25", not: "3"),
            Case("Hence $25$ is our final answer, because 30 is too large.", "25", not: "30"),
            Case("So 25 cm is the correct answer; 31 was a guess.", "25", not: "31"),
            Case("9 is the answer to part 1.\nThe final answer is 25.", "25", not: "9"),
            Case("If 25 is the answer, there are 6 left.", nil, not: "25"),
            Case("25 is the answer. Wait, that is wrong, it is 26.", "26", not: "25"),
            Case("\\boxed{8} is incorrect, so the answer is 9.", "9", not: "8"),
            Case("\\boxed{8}. But that is wrong. There are 9 of them.", "9", not: "8"),
            Case("\\boxed{8} is not the answer because 4 were counted twice.", nil, not: "8", "4"),
            Case("It is $\\boxed{9}$. A careless \\boxed{8} is wrong.", "9", not: "8"),
            Case("\\boxed{8} is the number of wrong keys.", "8", not: "9"),
        ])
    func called(row: Case) async { await check(row) }

    @Test(
        "times, bundles and sums of money are read whole",
        arguments: [
            Case("The film lasts 2h05m.", "125 minutes", not: "5", "2"),
            Case("It ran for 1hr45min", "1.75 hours", not: "45"),
            Case("The answer is 3h20m.", "200", not: "20"), Case("The answer is 1h1m5s.", "3665 seconds", not: "5"),
            Case("They walked 1 hour, 10 minutes and 30 seconds.", "4230 seconds", not: "30"),
            Case("The answer is 1 hour 10 minutes 30 seconds.", "70.5 minutes", not: "30"),
            Case("She hands over six $50 bills.", "300", not: "50"),
            Case("The answer is six $50 bills.", "6", not: "50"),
            Case("Answer: 4 $25 vouchers", "100", not: "25"),
            Case("He pays $60 plus a $9 tip.", "69", not: "9"),
            Case("The answer is $60 plus a $9 tip.", "69", not: "9", "60"),
            Case("The answer is kr 75.", "75", not: "7"), Case("It costs kr. 75.50.", "75.5"),
            Case("The answer is $75 US.", "75", not: "7"), Case("\\boxed{\\$75 CA}", "75"),
        ])
    func whole(row: Case) async { await check(row) }

    @Test(
        "bounds, questions and conditions are no values",
        arguments: [
            Case("The answer is at least 31.", "x \\ge 31", not: "31"),
            Case("The answer is no fewer than 31 marbles.", "[31, \\infty)", not: "31"),
            Case("Answer: up to 31", "x \\le 31", not: "31"), Case("#### more than 31", "x > 31", not: "31"),
            Case("\\boxed{\\text{at most } 31}", "y \\leq 31", not: "31"),
            Case("The answer is just under 31%.", nil, not: "31"),
            Case("The final answer is almost 31.", nil, not: "31"),
            Case("Answer: Over 5 days he eats 35 plums.", "35", not: "5"),
            Case("The answer is no larger than 31.", "x \\le 31", not: "31"),
            Case("The answer is 31 or fewer.", "x \\le 31", not: "31"),
            Case("#### 31 at least", "x \\ge 31", not: "31"),
            Case("Neither 31 nor 42 is the answer.", nil, not: "31", "42"),
            Case("There are at least 31 ways.", "31"), Case("The answer is approximately 31.", "31"),
            Case("Could the answer be 31?", nil, not: "31"), Case("Is 31 the answer?", nil, not: "31"),
            Case("He sold 12 of them. Or were there 31?", "12", not: "31"),
            Case("If the answer is 31, we are done.", nil, not: "31"),
            Case("Assuming the answer is 31 would be rash.", nil, not: "31"),
        ])
    func bounds(row: Case) async { await check(row) }

    @Test(
        "a one-sided inequality equals its other spellings",
        arguments: [("\\ge 7", "x \\geq 7"), ("x < 2", "< 2"), ("\\leq -1", "(-\\infty, -1]"), ("n > 4", "4 < n")])
    func inequalities(row: (String, String)) async {
        for (reference, answer) in [row, (row.1, row.0), (row.0, row.0)] {
            let verdict = await MathGrader().verdict("\\boxed{\(answer)}", reference: reference)
            #expect(verdict.isCorrect, "\(reference) and \(answer): \(verdict.reason)")
        }
        let bare = row.0.filter { $0.isNumber || $0 == "-" }
        #expect(await !MathGrader().verdict("\\boxed{\(row.0)}", reference: bare).isCorrect)
    }

    @Test(
        "a clause behind the value adds a circumstance",
        arguments: [
            Case("She owns 12 hens, whereas Bob owns 5.", "12", not: "5"),
            Case("The sum is 60 when n equals 15.", "60", not: "15"),
            Case("The price is $24, as each egg costs $2.", "24", not: "2"),
            Case("He finishes 8 laps if he runs 4 miles.", "8", not: "4"),
            Case("The minimum is 6 where x = 2.", "6", not: "2", "x = 2"),
            Case("The minimum is 6 at t = 2.", "6", not: "2"),
            Case("The volume is 90, given that the height is 30.", "90", not: "30"),
            Case("The bill is 44 once all 12 have ordered.", "44", not: "12"),
            Case("She had 18 when she came and has 29 now.", "29", not: "18"),
            Case("When 24 are shared, each gets 6.", "6", not: "24"),
            Case("She was given 5 and now has 12.", "12", not: "5"),
        ])
    func clauses(row: Case) async { await check(row) }

    @Test(
        "and so does a phrase",
        arguments: [
            Case("9 birds stay from the first 30.", "9", not: "30"), Case("That is 6 modulo 11.", "6", not: "11"),
            Case("The fee is $70 with a 15% surcharge.", "70", not: "15", "15%"),
            Case("There are 48 pages in each of the 6 books.", "48", not: "6"),
            Case("She forms 8 rows of 3.", "8", not: "3"), Case("They sold 8 cakes across 2 stalls.", "8", not: "2"),
            Case("She paid $21 for seven $3 pens.", "21", not: "3"),
            Case("It costs $64 without the $8 tax.", "64", not: "8"),
            Case("She gets $12 off the $60 coat.", "12", not: "60"),
            Case("The result is 3.14, rounded to 2 decimal places.", "3.14", not: "2"),
            Case("**She pays $27.** (A plant is $9.)", "27", not: "9"),
            Case("She pays $27. (A plant is $9. She buys 3.)", "27", not: "9", "3"),
            Case("The herd has 31 goats [2].", "31", not: "2"),
            Case("She bought 4 pens for $15 in total.", "15", not: "4"),
            Case("There are 21 chairs in 3 rows of 7.", "21", not: "7", "3"),
            Case("That leaves 13 carrots for the 6 rabbits.", "13", not: "6"),
            Case("She keeps 9 pens after giving away 4.", "9", not: "4"),
            Case("He spends $9 by the end of week 2.", "9", not: "2"),
            Case("The meal is $48 for a table of 6.", "48", not: "6"),
            Case("He has 30 pens, twice as many as the 15 of Tom.", "30", not: "15"),
            Case("He is 9 years older than Ann, who is 3.", "9", not: "3"),
            Case("He has 9 stamps, 2 more than Ann.", "9", not: "2"),
            Case("It takes 6 trucks to carry all 80 crates.", "6", not: "80"),
            Case("There are 9 plates left for 2 guests.", "9", not: "2"),
            Case("She'll have 60 / 12 each week = in 5 more weeks.", "5", not: "12", "60"),
            Case("He paid a total of $15.", "15"), Case("The answers are [3]", "3"),
        ])
    func phrases(row: Case) async { await check(row) }

    @Test(
        "no piece of a notation is a number",
        arguments: [
            Case("The code is 0x2A.", "42", not: "0", "2"), Case("In binary it is 1101_2.", "1101_2", not: "2"),
            Case("It is 52_{8}.", "52_8", not: "8"), Case("There are 6 choose 3 ways.", "20", not: "3", "6"),
            Case("The mask is 0b110.", "6", not: "0", "110"), Case("There are 6!.", "720", not: "6"),
            Case("It runs on 4.11.2.", nil, not: "2", "4.11", "11.2"),
            Case("The host is 192.168.0.7.", nil, not: "0.7", "7"),
            Case("The roots are +/-5.", "\\pm 5", not: "5", "-5"), Case("It is 3^{4}.", "81", not: "4", "3"),
            Case("So k = 2.5×10^{-2}.", "0.025", not: "10", "-2"), Case("It had 12.345.678 visitors.", "12345678"),
            Case("12.345.678", "12345678"), Case("The point is \\langle 2, 9\\rangle.", "(2, 9)", not: "9"),
        ])
    func notations(row: Case) async { await check(row) }

    @Test(
        "rates, units and currencies are their number",
        arguments: [
            "$24/week", "$24/hr.", "\\boxed{\\$24/\\text{box}}", "24/week", "24 a week", "24 $/week", "24 %/month",
            "24 m/s^2",
            "24 m/s²", "24 kg/m^3", "24 mmol/L", "24 kN·m", "24 kJ/kg", "24 W/m^2", "24 MHz", "24 kV", "24 mA", "24 K",
            "24 Ω", "24 dB", "24 ppm", "24 px", "\\boxed{24\\,\\Omega}", "\\boxed{24\\ \\mu\\text{s}}",
            "\\boxed{24^{\\text{th}}}", "24th", "US $24", "HK$24", "24 kr", "SEK 24", "24元", "24円", "Rs.24/-",
            "It gains 24 m/s^2.", "They make $24/day.", "\\boxed{24\\text{ kg}\\cdot\\text{m/s}^2}", "24 people/km^2",
        ])
    func units(text: String) async { await check(Case(text, "24", not: "2", "240")) }

    @Test(
        "units of one quantity are converted, and variables stay variables",
        arguments: [
            Case("2 kPa", "2000\\text{ Pa}", not: "2\\text{ Pa}"), Case("3 N·m", "3\\text{ J}", not: "3\\text{ N}"),
            Case("5 mV", "0.005\\text{ V}", not: "5\\text{ MV}"),
            Case("9 m/s^2", "900\\text{ cm/s}^2", not: "9\\text{ m/s}"),
            Case("CHF 18", "18\\text{ CHF}", not: "18\\text{ SEK}"), Case("5/m", "\\frac{5}{m}", not: "5"),
            Case("2 s^2", "2s^2"), Case("12/b", "\\frac{12}{b}", not: "12"), Case("4ab/c", "\\frac{4ab}{c}"),
        ])
    func sizes(row: Case) async { await check(row) }

    @Test(
        "a mixed number may have its parts in braces",
        arguments: ["{-2}\\frac13", "-2{\\frac13}", "{-2}{\\frac{1}{3}}", "-{2}\\frac13"])
    func mixed(text: String) async {
        await check(Case("\\boxed{\(text)}", "-\\frac{7}{3}", not: "-\\frac{2}{3}", "-\\frac{5}{3}"))
    }
}
