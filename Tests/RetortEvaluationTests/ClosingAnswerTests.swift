import RetortCore
import RetortEvaluation
import Testing

/// What a text is graded for: its closing answer, whole, and no other number in it.
@Suite("The closing answer of a text")
struct ClosingAnswerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        let reference: String

        init(_ text: String, _ reference: String) { (self.text, self.reference) = (text, reference) }

        var testDescription: String { "\(text) for \(reference)" }
    }

    private func expect(_ accepted: Bool, _ row: Case) async {
        let verdict = await MathGrader().verdict(row.text, reference: row.reference)
        #expect(verdict.isCorrect == accepted, "\(verdict.reason)")
    }

    // MARK: Money

    @Test(
        "prices make no formula of what stands between them",
        arguments: [
            Case("Every ticket costs $5. They bought three, so they paid $15 in total.", "15"),
            Case("She paid $3 for milk and $4 for bread, so $7 altogether.", "7"),
            Case("Between $5 and $10 lies $7.50.", "7.5"), Case("He earns $20/hour, or $160 a day.", "160"),
            Case("$5+$10=$15", "15"), Case("It cost him $1,250.", "1250"), Case("It is \\$18.90.", "18.9"),
            Case("He paid 5$ and 10$, so 15$ in all.", "15"), Case("That makes US$18.", "18"), Case("US$18", "18"),
            Case("So the price is €18.", "18"), Case("The bill came to Rs. 350.", "350"), Case("USD 18", "18"),
            Case("18 dollars", "18"), Case("He lost money: his profit is -$7.", "-7"), Case("$-7", "-7"),
            Case("A shirt is $5 and $x$ shirts are $35, so $x = 7$.", "7"),
            Case("The cost is $12$ dollars, which is $3 more than $9.", "12"),
            Case("That is 50¢", "0.5\\text{ dollars}"),
            Case("The loan is $80k.", "80000"), Case("It sold for $2.5 million.", "2500000"),
            Case("Mr. Tan's net proceeds is $400 000 - $282 000 = $118 000.", "118000"),
        ])
    func money(row: Case) async { await expect(true, row) }

    @Test(
        "and no other price counts",
        arguments: [
            Case("Every ticket costs $5. They bought three, so they paid $15 in total.", "5"),
            Case("Every ticket costs $5. They bought three, so they paid $15 in total.", "3"),
            Case("She paid $3 for milk and $4 for bread, so $7 altogether.", "4"),
            Case("$5+$10=$15", "10"), Case("The loan is $80k.", "80"), Case("It sold for $2.5 million.", "2.5"),
            Case("A shirt is $5 and $x$ shirts are $35, so $x = 7$.", "35"),
            Case("It cost him $1,250.", "250"), Case("It cost him $1,250.", "1"), Case("$-7", "7"),
        ])
    func otherPrices(row: Case) async { await expect(false, row) }

    // MARK: GSM8K's form

    @Test(
        "calculator marks, and the closing line of GSM8K's model solutions",
        arguments: [
            Case("He has 80 = $<<2*80=160>>160\nA: 694", "694"), Case("So 2*3=<<2*3=6>>6 eggs\nA: 6", "6"),
            Case("Each pays 1,200/4=$<<1200/4=300>>300.", "300"), Case("He has <<5+3=8>> apples.", "8"),
            Case("It takes 2*1/2=<<2*1/2=1.0>>1 bolt\nA: 1", "1"), Case("3*5=<<3*5=15>>15\n#### 15", "15"),
            Case("16-3=<<16-3=13>>13\r\n13*2=<<13*2=26>>26\r\nA: 26", "26"), Case("A: 90,000", "90000"),
            Case("So it costs 2*40=$<<2*40=80>>80\nA: -129025", "-129025"), Case("A: $1,080", "1080"),
            Case("Q: How many are there? A: 18", "18"), Case("x\n#### 1,234", "1234"), Case("#### $18 dollars", "18"),
            Case("#### Step 1\nHe buys 4.\n#### Final answer\n12", "12"), Case("First 3.\n####\n12\n", "12"),
            Case("It takes 9 + 6 = 15 liters of water out of the 24 liters.", "15"),
            Case("He needs 12 + 5 = 17 minutes before Wayne.", "17"),
            Case("She bakes 16 x 3 = 48 rolls in 3 bags", "48"),
            Case("They spend 2.75*4=$11 in the 4 hours", "11"),
            Case("40-24 = 16 people think horse #12 will win", "16"),
            Case("He can skip 4 classes because 10 - 4 = 6", "4"),
            Case("It takes 1600 sticks because 1600 > 1200", "1600"),
            Case("Out of the 200, 200 x 4/5 = 160 have bloomed.", "160"),
            Case("So it is 1.2*60 = 72Mb per hour.", "72"),
            Case("Thus 72 - 54 = 18 more are needed to complete the 72.", "18"),
            Case("There were 2V = 2 * 11 = 22 votes", "22"),
            Case("Clyde will pay $6.50 + $5.50 = $12 for 5 apples and 5 oranges.", "12"),
            Case("She will be 4 + 4 = 8 years old 4 years from now.", "8"),
            Case("Express the answer as a percentage: 90 minutes / 450 minutes * 100% = 20%", "20"),
            Case("Convert the answer to weeks: 28 days / 7 days/week = 4 weeks", "4"),
            Case("The two venues cost the same: 200/20 = 10, so for 10 guests the two are equal.", "10"),
            Case("3*2=6, 6+5=11", "11"), Case("Now 20 apples + 13 pears = 33 fruits", "33"),
        ])
    func gsm8k(row: Case) async { await expect(true, row) }

    @Test(
        "of these, too, no other number counts",
        arguments: [
            Case("He has 80 = $<<2*80=160>>160\nA: 694", "160"), Case("A: 690\nHe has 80 = $<<2*80=694>>694", "690"),
            Case("So 2*3=<<2*3=6>>6 eggs\nA: 16", "6"), Case("Each pays 1,200/4=$<<1200/4=300>>300.", "4"),
            Case("It takes 9 + 6 = 15 liters of water out of the 24 liters.", "24"),
            Case("They spend 2.75*4=$11 in the 4 hours", "4"), Case("3*2=6, 6+5=11", "6"),
            Case("A: 12\nB: 13\nC: 14", "12"),
            Case("He can skip 4 classes because 10 - 4 = 6", "6"), Case("Since 4 of 10 left, 6 remain.", "4"),
            Case("Clyde will pay $6.50 + $5.50 = $12 for 5 apples and 5 oranges.", "5"),
            Case("She bakes 2*3 = 6 and eats 2, leaving 4", "6"), Case("She bakes 2*3 = 6, so 4 are left", "6"),
            Case("40-24 = 16 people think horse #12 will win", "12"), Case("#### 5 of 7", "7"),
            Case("#### Step 2: subtract\nThis leaves 9.", "2"),
            Case("It was 8*2=<<8*2=16>>16, and 4 more make 20", "16"),
        ])
    func gsm8kOthers(row: Case) async { await expect(false, row) }

    // MARK: What a value is of, for what it holds, and what it is not

    @Test(
        "a whole, a time or a purpose behind the value is not the answer",
        arguments: [
            Case("She has $5 left of the $20 she had.", "5"), Case("Only 6 eggs of the 24 broke.", "6"),
            Case("The bill came to $64, of which the tip was $8.", "64"), Case("He drove 2.5 miles in 3 days", "2.5"),
            Case("Ann will earn $350 in 4 weeks.", "350"), Case("They can paint 12 rooms within 5 hours.", "12"),
            Case("He pays $45 for 3 shirts.", "45"), Case("It takes 45 minutes for the 3 laps.", "3"),
            Case("He has 7 left instead of the 10.", "7"), Case("It is 5, not 6.", "5"),
            Case("He gets 9 rather than 12.", "9"), Case("It isn't $8. It costs $9.", "9"),
            Case("He reads the 120 pages in 5 hours.", "5"), Case("It will be full after 8 minutes.", "8"),
            Case("All 12 rooms are painted in 5 hours.", "5"), Case("He runs 3 miles, so he needs 27 minutes.", "27"),
            Case("He needs not 5 but 6.", "6"), Case("It would take 15 hours to clean 45 rooms.", "15"),
            Case("Ann needed 132 grams of flour to make 16 buns.", "132"),
            Case("Five trucks are needed to move 80 stones.", "5"), Case("He managed to sell 12 of them.", "12"),
            Case("7 cars went through the gate in the first 15 minutes.", "7"),
            Case("She uses the 12 apples to make 3 pies.", "3"), Case("He needs to find 12 more.", "12"),
        ])
    func scopes(row: Case) async { await expect(true, row) }

    @Test(
        "and neither is what the sentence denies",
        arguments: [
            Case("She has $5 left of the $20 she had.", "20"), Case("Only 6 eggs of the 24 broke.", "24"),
            Case("The bill came to $64, of which the tip was $8.", "8"), Case("He drove 2.5 miles in 3 days", "3"),
            Case("He pays $45 for 3 shirts.", "3"), Case("It is 5, not 6.", "6"), Case("The answer is not 5.", "5"),
            Case("It isn't 5.", "5"), Case("He reads the 120 pages in 5 hours.", "120"),
            Case("He gets 9 rather than 12.", "12"), Case("It would take 15 hours to clean 45 rooms.", "45"),
            Case("Five trucks are needed to move 80 stones.", "80"),
        ])
    func otherScopes(row: Case) async { await expect(false, row) }

    @Test(
        "dozens, cents, short labels and signs of units",
        arguments: [
            Case("12 dozen", "144"), Case("12 dozen", "12"), Case("She bought 3 dozen eggs.", "36"),
            Case("half a dozen", "6"), Case("He ate two dozen of them.", "24"), Case("He pays 75¢.", "0.75"),
            Case("He pays 75¢.", "75"), Case("$1.20", "120\\text{ cents}"), Case("Sum: 91", "91"), Case("Net: $5", "5"),
            Case("Max: -3", "-3"), Case("250 mL", "0.25 L"), Case("2 h", "120 min"), Case("90 s", "1.5\\text{ min}"),
            Case("0.5 L", "500\\text{ ml}"), Case("ab:cd", "ab:cd"), Case("It is \u{202A}42\u{202C}.", "42"),
            Case("\u{2066}-7\u{2069}", "-7"),
        ])
    func dozens(row: Case) async { await expect(true, row) }

    @Test(
        "and what they are not",
        arguments: [
            Case("12 dozen", "24"), Case("She bought 3 dozen eggs.", "12"), Case("He pays 75¢.", "7.5"),
            Case("250 mL", "0.25 mL"), Case("2 h", "2 min"), Case("75 dollars", "0.75"), Case("half a dozen", "12"),
            Case("Sum: 91", "9"), Case("2h", "2"), Case("\u{202E}42", "42"), Case("It is \u{202E}42\u{202C}.", "42"),
        ])
    func noDozens(row: Case) async { await expect(false, row) }

    // MARK: Sentences

    @Test(
        "short sentences and labels",
        arguments: [
            Case("He has 7 apples.", "7"), Case("There are 12 apples, so each gets three.", "3"),
            Case("It fell by -2 1/2 degrees", "-2.5"), Case("He paid 18 for the two shirts.", "18"),
            Case("There are 1,234 birds.", "1234"), Case("Total: 42", "42"),
            Case("Profit = 18", "18"), Case("So n = 5.", "5"), Case("It is 3.5 miles", "3.5"),
            Case("That leaves -7.", "-7"),
            Case("The temperature is −7 degrees.", "-7"), Case("It fell to minus 7.", "-7"), Case("negative 7", "-7"),
            Case("He has 18!", "18"), Case("Then 5! = 120.", "120"), Case("So each gets three.", "3"),
            Case("There are twenty-one of them.", "21"), Case("It is one hundred and five.", "105"),
            Case("Two thirds of them left.", "2/3"), Case("He walked 2 and a half miles.", "2.5"),
            Case("He walked 2 1/2 miles.", "2.5"), Case("He walked 2½ miles.", "5/2"),
            Case("The share is 3/4.", "0.75"),
            Case("The chance is 25%.", "25\\%"), Case("The chance is 25 percent.", "25\\%"),
            Case("He came 5th.", "5"), Case("It was a 5-day trip.", "5"), Case("He has 18 (3 more than 15).", "18"),
            Case("He has 18 apples (3 * 6).", "18"), Case("Thus 3 times 6 is 18", "18"),
            Case("We get 16 - 3 - 4 eggs", "9"),
            Case("The sum is 3 + 4 = 7 for now", "7"), Case("This finishes step 3: he has 18.", "18"),
            Case("- 12 apples\n- 18 pears", "18"), Case("**18** eggs remain", "18"), Case("There are `18` eggs", "18"),
            Case("The number is 2**10", "1024"), Case("It equals \\frac{1}{2} of it", "\\frac12"),
            Case("The value is $\\frac{3}{4}$ of the whole.", "3/4"), Case("so \\(x = 5\\) holds", "5"),
            Case("We have\n\\[ x = 5 \\]\nas claimed.", "5"), Case("hence $$\\frac{7}{2}$$", "3.5"),
            Case("$2x = 10 \\Rightarrow x = 5$ is what we find", "5"), Case("We conclude that $m+n = 13$.", "13"),
            Case("Hence the area is 12\\pi square units", "12\\pi"), Case("it is 2 pi long", "2\\pi"),
            Case("Then it is 3\\sqrt{2} in length", "3\\sqrt2"), Case("H2O has 3 atoms", "3"),
            Case("There are 400/1.5 = 266.67 ≈ 267 people", "267"), Case("She pays ~18 then", "18"),
            Case("so it is 10/3 ≈ 3.33", "10/3"), Case("so it is 10/3 ≈ 3.33", "3.33"),
            Case("\\boxed{267 \\approx 300}", "300"),
        ])
    func sentences(row: Case) async { await expect(true, row) }

    @Test(
        "a part of a value is not the value",
        arguments: [
            Case("It is 3 x 10^8 meters per second.", "8"), Case("3 x 10^8", "8"), Case("3 x 10^8", "3"),
            Case("There were 3.6e+06 of them.", "6"), Case("3.6e+06", "6"), Case("It starts at 5:30.", "30"),
            Case("5:30", "30"), Case("5:30", "5"), Case("The point is (3, 4).", "4"), Case("(3, 4)", "4"),
            Case("(3, 4)", "3"), Case("That leaves −7.", "7"), Case("−7", "7"), Case("It fell to minus 7.", "7"),
            Case("He walked 2 1/2 miles.", "2"), Case("He walked 2 1/2 miles.", "1/2"), Case("The share is 3/4.", "4"),
            Case("There are 1,234 birds.", "234"), Case("The ratio is 2:3.", "3"), Case("The ratio is 2 to 3.", "3"),
            Case("The roots are 2 and 3.", "3"), Case("The roots are 2, 3.", "3"), Case("x = 2 or x = -2", "-2"),
            Case("It took 2 hours 30 minutes.", "30"), Case("It took 2 hours and 30 minutes.", "2"),
            Case("5 feet 6 inches", "6"), Case("We get 16 - 3 - 4 eggs", "4"), Case("He read pages 5–7.", "7"),
            Case("He scored 18 out of 20.", "20"), Case("The interval is [2, 5).", "5"),
            Case("There are 5 million.", "5"),
            Case("There are 12 apples, so each gets three.", "12"), Case("COVID-19 was it", "-19"),
            Case("So $x^2$ is 2^{10}", "10"), Case("it is 3\\sqrt{2} long", "2"),
            Case("He has 18 (3 more than 15).", "15"),
            Case("There are 6 of them. So each gets three.", "6"), Case("2x = 6", "6"), Case("x > 5", "5"),
            Case("There are 5 pens. It is not known.", "6"), Case("It ended 3-2", "2"),
            Case("so it is 10/3 ≈ 0.67", "0.67"),
            Case("\\boxed{3/3 \\approx 0.67}", "0.67"), Case("About 2 and a half", "2"),
        ])
    func parts(row: Case) async { await expect(false, row) }

    @Test(
        "but the whole of it is",
        arguments: [
            Case("It is 3 x 10^8 meters per second.", "3 \\times 10^8"), Case("3 x 10^8", "300000000"),
            Case("There were 3.6e+06 of them.", "3600000"), Case("It starts at 5:30.", "5:30"),
            Case("It starts at 5:30 p.m.", "5:30"), Case("She must start at 2:00 pm", "2"),
            Case("The point is (3, 4).", "(3,4)"),
            Case("The ratio is 2:3.", "2:3"), Case("The ratio is 2 to 3.", "2:3"),
            Case("The roots are 2 and 3.", "3, 2"),
            Case("The roots are $2$, $3$, and $5$.", "2,3,5"), Case("x = 2 or x = -2", "\\pm 2"),
            Case("It took 2 hours 30 minutes.", "150"), Case("It took 2 hours and 30 minutes.", "2.5"),
            Case("5 feet 6 inches", "66"), Case("It weighs 1 pound and 4 ounces", "20"),
            Case("He scored 18 out of 20.", "18"), Case("The chance is 1 out of 6.", "1/6"),
            Case("The interval is [2, 5).", "[2,5)"), Case("There are 5 million.", "5000000"),
            Case("The solutions are x = 2 and y = 3.", "(2,3)"), Case("We need x > 5 then", "(5,\\infty)"),
        ])
    func wholes(row: Case) async { await expect(true, row) }

    @Test(
        "forms of every sort",
        arguments: [
            Case("The answer is 42", "42"), Case("the answer is $42$ dollars", "42"), Case("Answer:42", "42"),
            Case("answer is (3, 4)", "(3,4)"), Case("**The answer is: 42**", "42"),
            Case("Therefore, the final answer is: $\\boxed{42}$.", "42"),
            Case("The final answer is 42 apples, which she splits among 6 friends.", "42"),
            Case("x=\\frac{1}{2}", "1/2"), Case("Thus the probability is \\frac{1}{2}.", "1/2"),
            Case("The probability is 1/2, or 50%.", "1/2"), Case("He is 5'6\" tall, so 66 inches.", "66"),
            Case("It is 1.5e-3 m", "0.0015"), Case("1.2 × 10^{-3}", "0.0012"), Case("1.2×10⁻³", "0.0012"),
            Case("It's 1.2 × 10⁻³ m.", "0.0012"), Case("$1.2 \\times 10^{-3}$", "0.0012"),
            Case("There were 1 234 567 people", "1234567"), Case("−\\frac{3}{4}", "-3/4"),
            Case("So the result is −3/4.", "-0.75"), Case("-$15", "-15"), Case("($15)", "15"),
            Case("The solution set is {1, 2, 3}.", "{1,2,3}"), Case("The solutions are x=1 and x=2.", "1,2"),
            Case("x = 1, x = 2", "1,2"), Case("x ∈ {1,2}", "{1,2}"), Case("The time is 10:30 AM.", "10:30"),
            Case("7:00 p.m.", "7"), Case("The ratio is 3 : 4", "3:4"), Case("3/4 cup", "3/4"),
            Case("He needs 1 1/2 cups of flour", "3/2"), Case("So, after 3 days, he has 10 left.", "10"),
            Case("In total: 3 + 4 + 5 = 12", "12"), Case("Total cost: $3 + $4 + $5 = $12", "12"), Case("= 12", "12"),
            Case("So the answer is -3.", "-3"), Case("The answer is – 3", "-3"), Case("The answer is −3", "-3"),
            Case("so x equals 7", "7"), Case("x equals negative seven", "-7"), Case("Ans. 12", "12"),
            Case("ANS: 12", "12"), Case("Final answer - 12", "12"), Case("Answer is 12.", "12"),
            Case("Answer. 12", "12"), Case("The answer:\n12", "12"), Case("The correct answer is C) 12", "12"),
            Case("Answer: C", "\\text{(C)}"), Case("C", "C"), Case("The answer is C.", "C"), Case("(C)", "C"),
            Case("Thus the answer is **C**.", "\\text{C}"), Case("c", "\\text{(C)}"),
            Case("\\boxed{C}", "\\text{(C)}"), Case("\\boxed{\\text{C}}", "C"),
            Case("\\boxed{\\mathrm{C}}", "\\text{(C)}"), Case("\\boxed{\\textbf{C}}", "C"),
            Case("\\boxed{\\text{Evelyn}}", "\\text{Evelyn}"), Case("The answer is Evelyn.", "\\text{Evelyn}"),
            Case("\\boxed{\\text{even}}", "\\text{even}"),
            Case("The function is even.\nThe answer is even.", "\\text{even}"), Case("\\boxed{12,345}", "12345"),
            Case("\\boxed{12{,}345}", "12345"), Case("\\boxed{\\$12{,}345.50}", "12345.5"),
            Case("\\boxed{12\\,345}", "12345"), Case("\\boxed{25\\%}", "25\\%"),
            Case("\\boxed{25\\text{ percent}}", "25\\%"), Case("about 25 percent", "25"), Case("0.25", "25\\%"),
            Case("\\boxed{5\\sqrt{3}\\text{ cm}^2}", "5\\sqrt3"),
            Case("\\boxed{5\\sqrt{3}\\text{ square units}}", "5\\sqrt3"), Case("Area = 5√3", "5\\sqrt3"),
            Case("the area is 5√3 cm²", "5\\sqrt3"), Case("\\boxed{\\text{5 apples}}", "5"),
            Case("\\boxed{5 \\text{ and } 7}", "5,7"), Case("\\boxed{5} and \\boxed{7}", "5,7"),
            Case("so n is 2^{10} = 1024.", "1024"), Case("so n is 2^10.", "1024"),
            Case("n = 10! = 3628800", "3628800"), Case("<answer>\n18\n</answer>", "18"),
            Case("<answer>The total is 18.</answer>", "18"), Case("Reasoning: 5\n<answer>18", "18"),
            Case("18.", "18"), Case("18,", "18"), Case("18;", "18"), Case("\"18\"", "18"), Case("'18'", "18"),
            Case("`18`", "18"), Case("18 .", "18"), Case("+18", "18"), Case("018", "18"), Case("18.00", "18"),
            Case("$18.00", "18"), Case("He saves 18¢ per day", "18"), Case("¥18,000", "18000"),
            Case("18 000 000", "18000000"), Case("1.8 million", "1800000"), Case("It is one half.", "1/2"),
            Case("It is a quarter of it", "1/4"), Case("twelve", "12"), Case("Twelve apples", "12"),
            Case("It is twenty-five percent.", "25"), Case("He eats three quarters of it", "3/4"), Case("zero", "0"),
            Case("There are none: 0", "0"), Case("Her age is 18 years and 6 months", "18.5"),
            Case("2 h 30 min", "150"), Case("2h 30m", "150"), Case("3 dollars and 25 cents", "3.25"),
            Case("6'", "6"), Case("\\boxed{6 \\text{ feet}, 3\\text{ inches}}", "75"),
            Case("Let $S$ be the sum. Then $S = 55$.", "55"), Case("We get $a = 3$ and $b = 4$, so $a+b = 7$.", "7"),
            Case("so $\\angle ABC = 30^\\circ$.", "30"), Case("so $\\angle ABC = 30^\\circ$", "30^\\circ"),
            Case("$f(2) = 5$", "5"), Case("Hence $AB = 5$.", "5"), Case("so $|AB| = 5$", "5"),
            Case("Hence $\\frac{a}{b} = \\frac{3}{4}$.", "3/4"), Case("thus $S_{10} = 55$", "55"),
            Case("$$x = \\boxed{5}$$", "5"), Case("\\[x = 5.\\]", "5"), Case("so $x=5$, as desired.", "5"),
            Case("\\begin{align*}\nx &= 3+4\\\\\n&= 7\n\\end{align*}", "7"), Case("$x\\approx 3.14159265$", "\\pi"),
            Case("The slope is undefined.", "\\text{undefined}"), Case("y = 2x + 3", "y=2x+3"),
            Case("The line is y = 2x + 3.", "y=2x+3"), Case("The equation is $y = 2x+3$.", "y=2x+3"),
            Case("The polynomial is x^2 + 3x + 2.", "x^2+3x+2"), Case("The interval is (-∞, 5].", "(-\\infty,5]"),
            Case("x ≤ 5", "(-\\infty,5]"), Case("The answer is x ≤ 5.", "(-\\infty,5]"),
            Case("The domain is [2, 5) ∪ (5, ∞).", "[2,5) \\cup (5,\\infty)"), Case("It's 3 - 2i.", "3-2i"),
            Case("The roots are 1 ± √2.", "1 \\pm \\sqrt 2"),
            Case("The roots are $1 \\pm \\sqrt{2}$", "1 \\pm \\sqrt 2"),
            Case("the vector is (1, -2, 3)", "(1,-2,3)"),
            Case("He has 7 apples and 3 of them are red, so 4 are green.", "4"), Case("Profit: $12 - $5 = $7", "7"),
            Case("She earns $18 each day", "18"), Case("Answer:\n\n$$\\boxed{18}$$", "18"),
            Case("The total cost is $5 × 3 + $2 × 4 = $23.", "23"), Case("So, $9*2 = \\$18$", "18"),
            Case("Cost: $3.50 per lb × 2 lb = $7.00", "7"), Case("Price is $10, discount $2 => $8", "8"),
            Case("Price: $10 -> $8", "8"), Case("Hence -2\\frac{1}{2} is the value", "-2.5"),
            Case("x=-2\\tfrac{1}{2}", "-5/2"), Case("\\boxed{-3\\frac{3}{4}^\\circ}", "-3.75"),
            Case("\\boxed{-12\\frac12\\%}", "-12.5\\%"),
            Case("\\boxed{\\left(-1\\frac12,-2\\frac13\\right)}", "(-3/2,-7/3)"), Case("ANSWER IS 18", "18"),
            Case("FINAL ANSWER: 18", "18"), Case("Final Answer\n\\[\n18\n\\]", "18"),
            Case("The answer is $$18$$", "18"), Case("The answer is \\(18\\).", "18"),
            Case("The answer is 18 cm^3.", "18"), Case("The answer is 18 °F.", "18"),
            Case("The answer is A$18.", "18"), Case("The answer is CA$18.", "18"),
            Case("The answer is roughly 18.", "18"), Case("The answer is therefore 18", "18"),
            Case("the answer is 20 - 2 = 18", "18"), Case("\\boxed{\\text{(D)}\\ \\frac{1}{2}}", "1/2"),
            Case("\\boxed{\\textbf{(E) }24}", "24"), Case("\\boxed{\\mathrm{(A)}\\; 7}", "7"),
            Case("\\boxed{\\text{B}}", "\\text{(B)}"), Case("A: 3/4", "3/4"), Case("A: 3:00", "3:00"),
            Case("Answer (B): 12", "12"), Case("There are 3 teams of 4, i.e. 12 people.", "12"),
            Case("It is -5°C.", "-5"), Case("7 × 10^4", "70000"), Case("6.02E23", "6.02\\times 10^{23}"),
            Case("the number 1,234,567.89", "1234567.89"), Case("He ran at 18 mph", "18"),
            Case("18 km per hour", "18"), Case("Therefore 18.", "18"), Case("18 (eighteen)", "18"),
            Case("eighteen (18)", "18"), Case("18/1", "18"), Case("18 - that's it", "18"),
            Case("18, I think.", "18"), Case("Around 18.", "18"), Case("≈ 18", "18"), Case("~18", "18"),
            Case(">18<", "18"),
        ])
    func forms(row: Case) async { await expect(true, row) }

    @Test(
        "and their parts",
        arguments: [
            Case("The answer is 42 apples, 6 for each.", "6"), Case("The answer is 18, not 20.", "20"),
            Case("1.2 × 10⁻³", "3"), Case("It's 1.2 × 10⁻³ m.", "1.2"), Case("1 234 567 people", "567"),
            Case("−3/4", "4"), Case("So the result is −3/4.", "3/4"), Case("The time is 10:30 AM.", "10"),
            Case("The ratio is 3 : 4", "4"), Case("He needs 1 1/2 cups of flour", "1/2"), Case("x = 1, x = 2", "2"),
            Case("The solution set is {1, 2, 3}.", "3"), Case("10! ways", "10.5"),
            Case("\\boxed{5 \\text{ and } 7}", "7"), Case("1.8 million", "1.8"),
            Case("It is twenty-five percent.", "5"), Case("2 h 30 min", "30"), Case("3 dollars and 25 cents", "25"),
            Case("y = 2x + 3", "3"), Case("The line is y = 2x + 3.", "3"),
            Case("The polynomial is x^2 + 3x + 2.", "2"), Case("The interval is (-∞, 5].", "5"),
            Case("The domain is [2, 5) ∪ (5, ∞).", "5"), Case("It's 3 - 2i.", "3"), Case("It's 3 - 2i.", "-2"),
            Case("The roots are 1 ± √2.", "1"), Case("the vector is (1, -2, 3)", "3"), Case("$12", "2"),
            Case("12.5", "5"), Case("\\frac{1}{2}", "2"), Case("the area is 5√3 cm²", "5"),
            Case("the area is 5√3 cm²", "3"), Case("the area is 5√3 cm²", "2"), Case("5x", "5"), Case("$5x$", "5"),
            Case("It is 5x.", "5"), Case("The answer is 5x + 3.", "3"), Case("2^{10}", "10"),
            Case("It is 2^10.", "10"), Case("log_2 8", "8"), Case("The answer is 5 or 6.", "5"),
            Case("The answer is between 5 and 6.", "6"), Case("I think it's 5, but it could be 6.", "5"),
            Case("(B) 12", "2"), Case("A", "\\text{(B)}"), Case("50%", "0.005"), Case("No. 5", "6"),
            Case("There is no answer.", "0"), Case("none", "0"), Case("I cannot solve this.", "0"),
            Case("Answer:", "0"), Case("\\boxed{}", "0"), Case("", "0"), Case("10 - 3", "3"), Case("10 - 3", "10"),
            Case("3 out of 5", "5"), Case("1/3", "3"), Case("1e3", "3"), Case("1e3", "1"), Case("5:30", "5.5"),
            Case("3:5", "5"), Case("5 cm", "5\\text{ m}"), Case("The score was 3-2.", "2"), Case("[1,2)", "(1,2)"),
            Case("The points are (1,2) and (3,4).", "(3,4)"), Case("2 x 3 x 4", "4"), Case("a 3 x 4 grid", "4"),
            Case("£3.50", "50"), Case("1,5", "5"), Case("3.4.5", "5"), Case("Q: 5? A: 6", "5"),
            Case("The answer is 7. Actually, it is 8.", "7"), Case("Option A: 5\nOption B: 6", "5"),
            Case("Step 1: 5\nStep 2: 6", "5"), Case("5 and 6", "6"), Case("|x - 1| = 5", "5"), Case("2x = 8", "8"),
            Case("It is 5 cm.", "5\\text{ m}"),
            Case("He has 7 apples and 3 of them are red, so 4 are green.", "3"),
            Case("Price is $10, discount $2 => $8", "2"), Case("Hence -2\\frac{1}{2} is the value", "2.5"),
            Case("x=-2\\tfrac{1}{2}", "-1"), Case("\\boxed{-12\\frac12\\%}", "-6\\%"), Case("7 × 10^4", "4"),
            Case("6.02E23", "23"), Case("6.02E23", "6.02"), Case("the number 1,234,567.89", "567.89"),
            Case("the number 1,234,567.89", "89"), Case("A: 3:00", "0"), Case("the answer is 20 - 2 = 18", "2"),
            Case("The answer is 18 cm^3.", "3"), Case("\\boxed{\\text{(D)}\\ \\frac{1}{2}}", "2"),
            Case("Total: 3, 4", "4"), Case("The points (3, 4) and (5, 6)", "6"), Case("It is 3/4 of 20", "4"),
            Case("−7°C", "7"), Case("It is 12:45", "45"), Case("It is 12:45", "12"), Case("ratio 1:2:3", "3"),
            Case("1:2:3", "2"), Case("x^2 + 7", "7"), Case("x = 7y", "7"), Case("[3, 7]", "7"),
            Case("\\{3,7\\}", "7"), Case("3 ± 7", "7"), Case("3 < x < 7", "7"), Case("7%", "0.7"),
            Case("sqrt(7)", "7"), Case("log(7)", "7"), Case("7i", "7"), Case("7!", "7"), Case("|7|", "8"),
            Case("7_8", "8"),
        ])
    func formsParts(row: Case) async { await expect(false, row) }

    // MARK: Phrases

    @Test(
        "phrases that lead to the answer, in any case and with what stands between",
        arguments: [
            Case("ANSWER: 18", "18"), Case("A: 18", "18"), Case("Ans: 18", "18"), Case("answer = 18", "18"),
            Case("The answer is approximately 18.", "18"), Case("The answer is: about 18 or so.", "18"),
            Case("So the answer is 3 * 6 = 18.", "18"), Case("The answer is\n\\[ 18 \\]", "18"),
            Case("The final answer is\n\n$$\n18\n$$", "18"), Case("**Final Answer:** 18", "18"),
            Case("**Answer**: $18$", "18"), Case("The boxed answer is 42.", "42"), Case("The answer is 18 mph.", "18"),
            Case("The answer is 18 °C.", "18"), Case("The answer is US$18.", "18"),
            Case("The answer is $18 per day.", "18"),
            Case("The answer (in dollars) is 18.", "18"), Case("The answer, in simplest form, is 3/4.", "3/4"),
            Case("The answer to the question is 18, since 20 - 2 = 18 and 2 are gone.", "18"),
            Case("The answer is 18 because there were 20 and 2 left.", "18"), Case("THE ANSWER IS -7", "-7"),
            Case("The answer is 18. This is because 16 - 3 - 4 = 9 and 9 * 2 = 18.", "18"),
            Case("Answer: He had 20 apples. He gave 2 away. So 18 are left.", "18"),
            Case("Answer: Let's think step by step. 3 * 6 = 18. So there are 18 eggs in 3 nests.\n#### 18", "18"),
            Case("The answer is 5. Wait, that counts one twice. So there are 4.", "4"),
            Case("The answer is <203>.", "203"),
            Case("Therefore, the answer is that he has 18 apples.", "18"), Case("The answer is 5 and -5.", "\\pm 5"),
            Case("Final Answer: The final answer is $18$. I hope it is correct.", "18"),
            Case("So 18 is the answer.", "18"),
            Case("The answer is not 5 but 7.", "7"), Case("<answer>18</answer>", "18"), Case("<answer>18 apples", "18"),
            Case("The answer is 2 hours and 30 minutes.", "150"), Case("answer: x = 5", "5"),
            Case("The answer is eighteen.", "18"),
            Case("The answers are 2 and 3.", "2,3"), Case("The answer is approx. 18.", "18"),
            Case("Final answer\n18", "18"),
            Case("The answer is 50%.", "50\\%"), Case("The answer is 3 1/2 cups.", "7/2"),
            Case("Answer: 1,234", "1234"),
            Case("My answer would be 18 apples in 3 bags.", "18"), Case("The answer is as follows: 18.", "18"),
        ])
    func phrases(row: Case) async { await expect(true, row) }

    @Test(
        "and what they do not lead to",
        arguments: [
            Case("The answer is 18 because there were 20 and 2 left.", "2"), Case("ANSWER: 18", "8"),
            Case("The answer is 3 apples and 4 pears.", "4"), Case("The answer is 3 apples and 4 pears.", "3"),
            Case("Answer: He had 20 apples. He gave 2 away. So 18 are left.", "20"),
            Case("The answer is 5. Wait, that counts one twice. So there are 4.", "5"),
            Case("The answer is 5 and -5.", "5"), Case("The answer is not 5 but 7.", "5"),
            Case("We have 5 apples. The answer is no solution.", "5"), Case("The answer is 3 * 6 = 18.", "6"),
            Case("Final Answer: The final answer is $18$. I hope 5 people agree.", "5"), Case("A: 18", "A"),
            Case("I first thought of 18. The answer is unknown.", "18"),
        ])
    func phrasesOthers(row: Case) async { await expect(false, row) }

    // MARK: Boxes and choices

    @Test(
        "boxes with words, choices and units",
        arguments: [
            Case("\\boxed{\\textbf{(B)}\\ 12}", "12"), Case("\\boxed{\\textbf{(B)}\\ 12}", "\\text{(B)}"),
            Case("\\boxed{\\text{(B) } 12}", "12"), Case("\\boxed{(B)}", "\\text{B}"), Case("\\boxed{B. 12}", "12"),
            Case("\\boxed{\\text{The area is } 12}", "12"), Case("\\boxed{12 \\text{ apples}}", "12"),
            Case("\\boxed{\\text{Area} = 12}", "12"), Case("\\boxed{x = 3 \\cdot 6 = 18}", "18"),
            Case("\\boxed{$18$}", "18"),
            Case("\\boxed{He has 7 apples}", "7"), Case("\\boxed{18\\text{ mph}}", "18"),
            Case("\\boxed{18^\\circ\\text{C}}", "18"),
            Case("\\boxed{18^{\\circ}F}", "18"), Case("Put it in \\boxed{}. So \\boxed{5} it is. Not \\boxed{}.", "5"),
            Case("\u{8}oxed{5}", "5"), Case("\\fbox{5}", "5"), Case("so boxed{5}", "5"), Case("\\boxed 5", "5"),
            Case("\\boxed{4} is one way, but the final answer is 7.", "7"), Case("#### 4\n\\boxed{7}", "7"),
            Case("The correct option is (C).", "\\text{(C)}"), Case("The answer is (B) 12.", "12"),
            Case("The answer is option B.", "\\text{(B)}"), Case("The answer is B, which is 12.", "12"),
            Case("The answer is B, which is 12.", "\\text{B}"),
            Case("\\boxed{\\frac{1}{3}}. The final answer is about 0.33.", "1/3"),
            Case("\\boxed{18\\ \\mathrm{m/s}}", "18"), Case("\\boxed{18 m/s}", "18"), Case("\\boxed{18 cm^2}", "18"),
        ])
    func boxes(row: Case) async { await expect(true, row) }

    @Test(
        "and what these are not",
        arguments: [
            Case("\\boxed{\\textbf{(B)}\\ 12}", "\\text{(C)}"), Case("\\boxed{\\textbf{(B)}\\ 12}", "2"),
            Case("\\boxed{12 \\text{ apples and 3 pears}}", "12"), Case("\\boxed{12 \\text{ apples and 3 pears}}", "3"),
            Case("\\boxed{4} is one way, but the final answer is 7.", "4"), Case("#### 4\n\\boxed{7}", "4"),
            Case("The correct option is (C), not (B).", "\\text{(A)}"), Case("\\boxed{2x = 6}", "6"),
            Case("The boxed answer is 42, the others 7.", "7"), Case("\\boxed{x + 3y = 5}", "5"),
        ])
    func boxesOthers(row: Case) async { await expect(false, row) }

    @Test(
        "units of every sort",
        arguments: [
            "18 mph", "18mph", "18 km/h", "18 °C", "18°C", "18 ℃", "18 degrees Celsius", "18 kg", "18kg", "18 lbs",
            "18 m/s",
            "18 m^2", "18 m²", "18 square meters", "18 dollars per day", "18 GB", "18 rpm", "18 years old",
            "18 Dollars",
            "18 people", "18 cu. ft.", "18 miles per hour", "18 pcs", "18 USD", "18 EUR", "€18", "₹18", "Rs 18", "18%",
            "18 minutes", "18min", "18 inches",
        ])
    func units(answer: String) async {
        for text in [answer, "\\boxed{\(answer)}", "The answer is \(answer).", "So it comes to \(answer) then."] {
            await expect(true, Case(text, "18"))
            await expect(false, Case(text, "8"))
        }
    }
}

@Suite("Mixed numbers")
struct MixedNumberTests {
    @Test(
        "a sign before a mixed number is that of the whole",
        arguments: [
            ("\\boxed{-2\\frac{1}{2}}", "-2.5"), ("-2\\frac12", "-\\frac52"), ("-2 1/2", "-2.5"), ("-2½", "-2.5"),
            ("−1\\frac{3}{4}", "-1.75"), ("(-2\\frac{1}{2}, 3)", "(-2.5, 3)"), ("x=-2\\frac{1}{2}", "-2.5"),
            ("-2\\frac{1}{2}\\%", "-2.5\\%"), ("-2\\frac{1}{2}^\\circ", "-2.5^\\circ"), ("2\\frac{1}{2}\\%", "2.5\\%"),
            ("2\\frac{1}{2}^{\\circ}", "2.5^\\circ"), ("3 - 2\\frac{1}{2}", "0.5"), ("-(1\\frac{1}{2})", "-1.5"),
            ("\\pm 2\\frac{1}{2}", "\\pm 2.5"), ("-\\left(2\\dfrac{1}{2}\\right)", "-2.5"),
            ("[-1\\tfrac13, 0]", "[-4/3, 0]"),
            ("-2\\frac{1}{2}\\text{ cm}", "-2.5\\text{ cm}"), ("4\\cdot 2\\frac{1}{2}", "10"),
            ("-2\\frac{1}{2}\\pi", "-2.5\\pi"),
            ("2⅔", "8/3"), ("\\boxed{-3\\frac{3}{4}^\\circ}", "-3.75"), ("-12\\frac12\\%", "-12.5"),
            ("-30^\\circ", "-30"), ("-3⅛", "-3.125"),
        ])
    func equal(answer: String, reference: String) async {
        for (a, b) in [(answer, reference), (reference, answer)] {
            let verdict = await MathGrader().verdict(a, reference: b)
            #expect(verdict.isCorrect, "\(a) for \(b): \(verdict.reason)")
        }
    }

    @Test(
        "and products stay products",
        arguments: [
            ("-2\\frac{1}{2}", "-1"), ("-2\\frac{1}{2}", "-1.5"), ("-2\\frac{1}{2}", "2.5"), ("x=-2\\frac{1}{2}", "-1"),
            ("-2\\frac{1}{2}\\%", "-1\\%"), ("-2\\frac{1}{2}^\\circ", "-1^\\circ"), ("(-2\\frac{1}{2}, 3)", "(-1, 3)"),
            ("2^3\\frac{1}{2}", "2^{3.5}"), ("\\sqrt2\\frac12", "\\sqrt{2.5}"),
        ])
    func different(answer: String, reference: String) async {
        #expect(await !MathGrader().verdict(answer, reference: reference).isCorrect)
    }

    @Test(
        "a fraction that is no part of a mixed number is a factor",
        arguments: [
            ("2\\frac{3}{2}", "3"), ("2\\frac{x}{2}", "x"), ("2^3\\frac{1}{2}", "4"), ("(2)\\frac{1}{2}", "1"),
            ("\\sqrt2\\frac12", "\\frac{\\sqrt2}{2}"), ("2x\\frac{1}{2}", "x"),
        ])
    func products(answer: String, reference: String) async {
        let verdict = await MathGrader().verdict(answer, reference: reference)
        #expect(verdict.isCorrect, "\(verdict.reason)")
    }
}

@Suite("What stands beside the closing value")
struct BesideTheAnswerTests {
    typealias Case = ClosingAnswerTests.Case

    private func verdict(_ row: Case) async -> Verdict {
        await MathGrader().verdict(row.text, reference: row.reference)
    }

    @Test(
        "years that only say when, options, lengths, chances and solutions of equations",
        arguments: [
            Case("There were 15 wolves in 2021.", "15"), Case("In 2021 there were 15 wolves.", "15"),
            Case("The farm had 1,200 sheep by 1999.", "1200"), Case("He was born in 1985.", "1985"),
            Case("He was 20 in 1985, so he was born in 1965.", "1965"),
            Case("It sold 2000 copies in May 2019.", "2000"),
            Case("It took 30 years, and it was done in 1889.", "1889"),
            Case("The correct option is B.", "B"), Case("So the correct choice is (D).", "D"), Case("Option (B)", "B"),
            Case("option C.", "C"), Case("The correct option is (A) 14.", "14"),
            Case("5'10\"", "70 inches"), Case("He is 6'2\" tall.", "74 inches"),
            Case("The probability is 3 in 8.", "3/8"), Case("The chance is 1 in 20.", "0.05"),
            Case("Let $x$ be the price. Then $3x = \\$27$ and $x = \\$9$.", "9"),
            Case("We get 2y + 1 = 7 and y = 3.", "3"),
            Case("-6 2/3%", "-20/3\\%"), Case("-6\\frac{2}{3} \\%", "-20/3\\%"), Case("20/3%", "6 2/3%"),
            Case("2 and 3/4 cups", "2.75"), Case("She used 1 and 1/2 cups.", "1.5"), Case("answer: (a) 5", "5"),
            Case("The answer is (c) 1/2.", "c"), Case("7 L", "7"),
            Case("$x = 2$ and $y = 3$", "x = 2, y = 3"),
        ])
    func accepted(row: Case) async {
        let verdict = await verdict(row)
        #expect(verdict.isCorrect, "\(verdict.reason)")
    }

    @Test(
        "and none of them is the answer in its place",
        arguments: [
            Case("There were 15 wolves in 2021.", "2021"), Case("5'10\"", "10"), Case("5'10\"", "5"),
            Case("2 and 3/4 cups", "3/4"), Case("The answers are 2 and 3/4.", "2.75"), Case("20/3%", "20/0.03"),
            Case("(a)(b)", "b"), Case("The probability is 3 in 8.", "8"), Case("The probability is 3 in 8.", "3"),
            Case("$x = 2$ and $y = 3$", "3"), Case("The correct option is B.", "C"),
        ])
    func rejected(row: Case) async {
        let verdict = await verdict(row)
        #expect(!verdict.isCorrect, "\(verdict.reason)")
    }
}
