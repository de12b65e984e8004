import RetortCore
import RetortEvaluation
import Testing

@Suite("Graders")
struct GraderTests {
    private func task(_ answer: String, _ family: AgentTask.Family) -> AgentTask {
        AgentTask(id: "t", question: "?", answers: [answer], family: family)
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

    @Test("the exact McNemar test", arguments: [(0, 0, 1.0), (1, 9, 0.021484), (5, 5, 1.0)])
    func mcNemar(first: Int, second: Int, p: Double) {
        #expect(abs(PairedTest(onlyFirst: first, onlySecond: second).pValue - p) < 1e-6)
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
