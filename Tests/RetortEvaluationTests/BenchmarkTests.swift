import Foundation
import RetortCore
import RetortEvaluation
import RetortStore
import Testing

@Suite("Benchmarks")
struct BenchmarkTests {
    private static let data = URL(fileURLWithPath: "../shared/data")

    private func scratch(_ name: String, _ text: String) throws -> (folder: URL, benchmark: Benchmark) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-benchmark-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: folder.appendingPathComponent(name))
        return (folder, Benchmark(name: "mine", title: "Mine", file: name, family: .math))
    }

    @Test("an audit counts what is repeated, unanswered, changed, and known from training")
    func audit() async throws {
        let (folder, plain) = try scratch(
            "mine.jsonl",
            """
            {"question": "How many legs have three spiders and two flies together in one jar?", "answer": "36"}
            {"question": "What is 2 + 2?", "answer": 4}
            {"question": "What is 2 + 2?", "answer": 4}
            {"question": "What is nothing?", "answer": null}

            """)
        defer { try? FileManager.default.removeItem(at: folder) }
        var benchmark = plain
        benchmark.count = 4
        benchmark.checksum = "1"
        let training = TrainingText([
            "what is 2 + 2", "Tell me: how many legs have three spiders and two flies together in one jar? Think.",
        ])
        let (audit, tasks) = try await BenchmarkAudit.of(benchmark, in: folder, training: training)
        #expect(tasks.count == 3 && tasks.allSatisfy { $0.split == "mine" })
        #expect(audit.n == 3 && audit.repeated == 1 && audit.unanswered == 1 && audit.ownAccepted == 3)
        #expect(audit.isComplete == false && audit.isUnchanged == false)
        #expect(audit.contamination?.exact.count == 2 && audit.contamination?.overlapping.count == 1)
        #expect(BenchmarkTable.render([audit]).contains("|         3 | changed |"))
        let remarks = BenchmarkTable.remarks([audit])
        #expect(
            remarks.count == 6 && remarks.contains { $0.contains("repeats 1") }
                && remarks.contains { $0.contains("a record without") })
    }

    @Test("members are named by a mapping, and a question may have several parts")
    func mapping() throws {
        let (folder, plain) = try scratch(
            "svamp.json", #"[{"ID": "c-1", "Body": "Ann has 3 pens.", "Question": "How many?", "Answer": 3.0}]"#)
        defer { try? FileManager.default.removeItem(at: folder) }
        var benchmark = plain
        benchmark.fields = QuestionFile.Fields(question: ["Body", "Question"], answer: "Answer", id: "ID")
        let task = try benchmark.questions(in: folder).tasks[0]
        #expect(task.question == "Ann has 3 pens. How many?" && task.answers == ["3"] && task.id.hasSuffix("c-1"))
    }

    @Test("a grader that does not know a benchmark's answers from others' ends the audit")
    func distrusted() async throws {
        struct Constant: Grader {
            let isCorrect: Bool
            func grade(_: String?, for _: AgentTask) async -> Verdict { Verdict(isCorrect: isCorrect, reason: "so") }
        }
        let lines = (0..<60).map { "{\"question\": \"What is \($0)?\", \"answer\": \($0)}\n" }.joined()
        let (folder, benchmark) = try scratch("mine.jsonl", lines)
        defer { try? FileManager.default.removeItem(at: folder) }
        for isCorrect in [true, false] {
            await #expect(throws: BenchmarkError.self) {
                try await BenchmarkAudit.of(benchmark, in: folder, grader: Constant(isCorrect: isCorrect))
            }
        }
        #expect(try await BenchmarkAudit.of(benchmark, in: folder).audit.strangersAccepted == 0)
        #expect(throws: BenchmarkError.self) { try Benchmark.named("hotpot") }
    }

    @Test(
        "the paper's eight test sets are 2,915 questions, unchanged, and their answers known from each other",
        .enabled(
            if: FileManager.default.fileExists(atPath: data.path),
            "the public data are not at ../shared/data"))
    func paper() async throws {
        var count = 0
        for benchmark in Benchmark.paper {
            let (audit, tasks) = try await BenchmarkAudit.of(benchmark, in: Self.data)
            #expect(audit.isComplete == true && audit.isUnchanged == true, "\(benchmark.name)")
            #expect(audit.ownAccepted == tasks.count)
            count += tasks.count
        }
        #expect(count == 2915)
    }
}

@Suite("Resampling")
struct BootstrapTests {
    @Test("the interval of a mean holds it, narrows with more numbers, and is the same each time")
    func mean() throws {
        let few = (0..<20).map { Double($0 % 2) }
        let many = (0..<2000).map { Double($0 % 2) }
        let (a, b) = (try #require(Bootstrap.mean(few)), try #require(Bootstrap.mean(many)))
        #expect(a.low < 0.5 && a.high > 0.5 && b.low < 0.5 && b.high > 0.5)
        #expect(b.high - b.low < (a.high - a.low) / 5)
        // The normal interval of 20 coins is 0.5 ± 0.219.
        #expect(abs(a.low - 0.281) < 0.06 && abs(a.high - 0.719) < 0.06)
        #expect(try #require(Bootstrap.mean(few)) == a)
        #expect(Bootstrap.mean([]) == nil)
    }

    @Test("a paired difference is seen when it is there, and not when it is not")
    func paired() throws {
        let better = (0..<100).map { index -> (first: Double, second: Double) in
            let first = Double(index % 2)
            return (first, index % 4 == 0 ? 1 : first)
        }
        let found = try #require(Bootstrap.difference(better))
        #expect(abs(found.mean - 0.25) < 1e-9 && found.low > 0.1 && found.pValue < 0.01)
        let same = (0..<100).map { index -> (first: Double, second: Double) in
            (Double(index % 2), Double((index + 1) % 2))
        }
        let none = try #require(Bootstrap.difference(same))
        #expect(none.low < 0 && none.high > 0 && none.pValue > 0.5)
    }
}
