import RetortCore
import Testing

@testable import RetortEvaluation

@Suite("Graders")
struct GraderTests {
    private func task(_ answer: String, _ family: AgentTask.Family) -> AgentTask {
        AgentTask(id: "t", question: "?", answers: [answer], family: family)
    }

    @Test("a verdict tells why, and a share has an interval")
    func example() async {
        // snippet: A grader
        let task = AgentTask(id: "1", question: "What is a half of 3?", answers: ["1.5"], family: .math)
        let verdict = await MathGrader().grade("\\frac{3}{2}", for: task)
        #expect(verdict.isCorrect)

        let share = Proportion(successes: 45, count: 100)
        #expect(share.value == 0.45 && share.interval.low > 0.35 && share.interval.high < 0.56)
        // end snippet
    }

    @Test(
        "numbers that are equal",
        arguments: [
            ("42", "42"), ("42.0", "42"), ("1,204", "1204"), ("\\boxed{\\frac{1}{2}}", "0.5"), ("1/2", "\\frac{1}{2}"),
            ("033", "33"), ("$18.90", "18.9"), ("90^\\circ", "90"), ("1e3", "1000"), ("The answer is 7.", "7"),
            ("-3", "−3"), ("13138980", "13138980.0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("12\\text{ cm}", "12"), ("0.3333333333", "1/3"), ("#### 5", "5"), ("2/6", "1/3"),
        ])
    func equal(answer: String, reference: String) async {
        #expect(await MathGrader().grade(answer, for: task(reference, .math)).isCorrect)
    }

    @Test(
        "numbers that are not",
        arguments: [
            ("50", "0.5"), ("5000", "50"), ("131389.8", "13138980.0"), ("13139980", "13138980.0"), ("", "0"),
            ("none", "0"), ("1,23", "123"), ("123456789012345678901234567891", "123456789012345678901234567890"),
            ("0.34", "1/3"), ("-3", "3"), ("1/0", "0"),
        ])
    func unequal(answer: String, reference: String) async {
        #expect(await !MathGrader().grade(answer, for: task(reference, .math)).isCorrect)
    }

    @Test(
        "texts that match exactly in SQuAD's sense",
        arguments: [("The Glass Orchard.", "glass orchard"), ("port  amsel", "Port Amsel"), ("1764", "1,764")])
    func exact(answer: String, reference: String) async {
        #expect(await ExactGrader().grade(answer, for: task(reference, .factual)).isCorrect)
    }

    @Test(
        "a factual number matches by value, and what makes it that number is no punctuation",
        arguments: [
            ("-5", "5"), ("1.5", "15"), ("3-4", "34"), ("9/11", "911"), ("9:30", "930"), ("−5", "5"), ("1,2", "12"),
            ("It is -5 degrees", "It is 5 degrees"), ("2.5 km", "25 km"), ("1990-95", "199095"), ("$1.50", "$150"),
            ("-0.5", "0.5"),
            ("12,34", "1234"), ("A", "B"), ("the", "a"),
        ])
    func differentNumbers(answer: String, reference: String) async {
        #expect(await !ExactGrader().grade(answer, for: task(reference, .factual)).isCorrect)
        #expect(await !ExactGrader().grade(reference, for: task(answer, .factual)).isCorrect)
        #expect(AnswerSpelling.of(.string(answer), .factual) != AnswerSpelling.of(.string(reference), .factual))
    }

    @Test(
        "and the same number in another spelling matches, as do articles that are the whole answer",
        arguments: [
            ("5.0", "5"), ("1,764", "1764"), ("−5", "-5"), ("1,234.50", "1234.5"), ("3–4", "3-4"), ("F-16", "F16"),
            ("(5)", "5"),
            ("In 1,764 ships.", "in 1764 ships"), ("July 4, 1776", "July 4 1776"), ("The 39 Steps", "39 steps"),
            ("A", "a"),
            ("A.", "A"), ("The The", "the the"), ("\"1984\"", "1984"), ("5.", "5"), ("Apollo 11!", "apollo 11"),
            ("0.50", ".5"),
        ])
    func sameNumbers(answer: String, reference: String) async {
        for (a, b) in [(answer, reference), (reference, answer)] {
            #expect(await ExactGrader().grade(a, for: task(b, .factual)).isCorrect)
        }
        #expect(AnswerSpelling.of(.string(answer), .factual) == AnswerSpelling.of(.string(reference), .factual))
    }

    @Test("nothing matches nothing", arguments: [nil, "", "   ", "..."] as [String?])
    func empty(answer: String?) async {
        #expect(await !ExactGrader().grade(answer, for: task("", .factual)).isCorrect)
        #expect(await !ExactGrader().grade(answer, for: task("x", .factual)).isCorrect)
        #expect(await !MathGrader().grade(answer, for: task("", .math)).isCorrect)
    }

    @Test("a run that failed is wrong even when it had the answer")
    func failedRun() async {
        var run = Trajectory(task: task("42", .math), provenance: Provenance(policy: "agent", model: "m"))
        run.end(.failed("the model broke"))
        #expect(await !FamilyGrader().grade(run).isCorrect)
    }
}

@Suite("Statistics")
struct StatisticsTests {
    @Test("Wilson's interval", arguments: [(8, 10, 49.02, 94.33), (0, 20, 0, 16.11), (100, 100, 96.30, 100)])
    func wilson(successes: Int, count: Int, low: Double, high: Double) {
        let interval = Proportion(successes: successes, count: count).interval
        #expect(abs(interval.low * 100 - low) < 0.01)
        #expect(abs(interval.high * 100 - high) < 0.01)
    }

    /// Twice the smaller tail of the binomial distribution, at most 1; summed with 60 digits (mpmath) and rounded to doubles.
    private static let splits: [(first: Int, second: Int, p: Double)] = [
        (0, 0, 1), (1, 9, 0.021484375), (5, 5, 1), (0, 1, 1), (0, 10, 0.001953125), (4, 5, 1), (538, 538, 1),
        (500, 575, 0.023964605849013637), (500, 600, 0.0028195449914364275), (1000, 1200, 2.1817026407914712e-05),
        (10, 1000, 5.359574874624727e-281), (499_000, 501_000, 0.04560829986538208), (1_000_000, 1_000_000, 1),
    ]

    @Test("the exact McNemar test, of ten pairs and of a million", arguments: splits)
    func mcNemar(first: Int, second: Int, p: Double) {
        for test in [
            PairedTest(onlyFirst: first, onlySecond: second), PairedTest(onlyFirst: second, onlySecond: first),
        ] {
            #expect(abs(test.pValue - p) <= 1e-8 * p)
        }
    }

    @Test("a bootstrap's p value is never 0, and 1 where nothing differs")
    func bootstrapPValue() throws {
        let apart = try #require(Bootstrap.difference(Array(repeating: (first: 0.0, second: 100.0), count: 50)))
        #expect(apart.pValue == 1 / Double(Bootstrap.rounds + 1) && apart.mean == 100)
        let same = try #require(Bootstrap.difference(Array(repeating: (first: 50.0, second: 50.0), count: 50)))
        #expect(same.pValue == 1 && same.low == 0 && same.high == 0)
        var clear: [(first: Double, second: Double)] = []
        for index in 0..<400 {
            let first = Double(index % 2)
            clear.append((first, index % 3 == 0 ? first : 1))
        }
        #expect(try #require(Bootstrap.difference(clear)).pValue < 0.01)
    }

    @Test("an interval of any number of draws", arguments: [-1, 0, 1, 2, 3, 39, 40, 2000])
    func draws(count: Int) throws {
        var values: [(group: Int, value: Double)] = []
        for index in 0..<30 { values.append((index, Double(index % 5))) }
        let estimate = try #require(ClusterBootstrap(draws: count).estimate(values))
        #expect(estimate.value == 2)
        #expect(estimate.low <= estimate.high)
        if count > 1 { #expect(estimate.low < estimate.high) }
    }

    @Test("calls of tools that fail are tool errors, and only programs are failed programs")
    func failedPrograms() {
        func step(_ action: Action, _ outcome: Observation.Outcome) -> Step {
            Step(thought: "", action: action, observation: Observation(text: "", outcome: outcome))
        }
        let error = Observation.Outcome.executionError(type: "NameError", message: "x")
        let call = Action.toolCall(name: "search", arguments: [:])
        let task = AgentTask(id: "t", question: "?", answers: ["1"], family: .math)
        var run = Trajectory(task: task, provenance: Provenance(policy: "agent", model: "m"))
        for one in [
            step(call, error), step(call, .timeout(seconds: 1)), step(.code("x"), error), step(call, .parseError("?")),
            step(.code("y"), .timeout(seconds: 1)), step(.code("1"), .success),
        ] { run.append(one) }
        run.end(.gaveUp("no steps left"))
        let record = RunRecord(run, Verdict(isCorrect: false, reason: ""))
        #expect(record.codeSteps == 3 && record.failedCodeSteps == 2 && record.timeouts == 1 && record.parseErrors == 1)
        #expect(record.failedCodeSteps <= record.codeSteps)
    }
}

@Suite("Reports")
struct ReportTests {
    private var run: (Trajectory, Verdict) {
        let task = AgentTask(
            id: "t", question: "<script>alert(1)</script>", answers: ["42"], family: .math, split: "out")
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "agent", model: "m"))
        trajectory.append(
            Step(
                thought: "<b>", action: .code("final_answer('<i>')"),
                observation: Observation(text: "</pre><img>", outcome: .final(42))))
        trajectory.end(.answered(42))
        return (trajectory, Verdict(isCorrect: true, reason: "equal"))
    }

    @Test("a summary's cells hold accuracies in percent with their intervals")
    func summary() {
        var summary = EvaluationSummary()
        summary.add("agent", parameters: 3_000_000, [RunRecord(run.0, run.1)])
        #expect(summary.cells.count == 1)
        #expect(summary.cells[0].accuracy == 100)
        #expect(abs(summary.cells[0].low - 20.65) < 0.01)
        #expect(summary.cells[0].causes == ["correct": 1])
        #expect(MarkdownTable.render(summary).contains("| 3.0M | agent | 100.0 (21–100) |"))
    }

    @Test("turns that cannot be read are a share of all turns, also where no agent writes programs")
    func unreadableTurns() {
        var unreadable = Trajectory(
            task: AgentTask(id: "u", question: "q", answers: ["42"], family: .math, split: "out"),
            provenance: Provenance(policy: "cot", model: "m"))
        unreadable.append(
            Step(
                thought: "", action: .unparsable(text: "…", reason: "no answer"),
                observation: Observation(text: "", outcome: .parseError("no answer"))))
        unreadable.end(.gaveUp("no steps left"))
        var answered = Trajectory(
            task: AgentTask(id: "a", question: "q", answers: ["42"], family: .math, split: "out"),
            provenance: Provenance(policy: "cot", model: "m"))
        answered.append(Step(thought: "", action: .answer(42), observation: Observation(text: "", outcome: .final(42))))
        answered.end(.answered(42))
        let wrong = Verdict(isCorrect: false, reason: "")
        var summary = EvaluationSummary()
        let right = Array(repeating: RunRecord(answered, Verdict(isCorrect: true, reason: "")), count: 3)
        summary.add("cot", parameters: 1, [RunRecord(unreadable, wrong)] + right)
        #expect(summary.cells.map(\.parseErrorRate) == [25])
        #expect(summary.cells.map(\.codeErrorRate) == [0])
    }

    @Test("the page escapes whatever models and tools wrote, and loads nothing")
    func escaping() {
        var summary = EvaluationSummary()
        summary.add("agent", parameters: 3_000_000, [RunRecord(run.0, run.1)])
        let sample = HTMLReport.Sample(student: "s", system: "agent", trajectory: run.0, verdict: run.1)
        let page = HTMLReport(title: "<t>", summary: summary, samples: [sample], losses: []).render()
        for hostile in ["<script>", "<img>", "<b><", "'<i>'", "<t>", "http:", "https:"] {
            #expect(!page.contains(hostile))
        }
        #expect(page.contains("&lt;script&gt;alert(1)"))
    }
}
