import Foundation
import RetortCore
import RetortStore
import Testing

/// Where the public data lies: beside the project, or where `RETORT_DATA` says.
private let data: URL = {
    if let path = ProcessInfo.processInfo.environment["RETORT_DATA"] { return URL(fileURLWithPath: path) }
    var project = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { project.deleteLastPathComponent() }
    return project.deletingLastPathComponent().appendingPathComponent("shared/data")
}()
private let tora = data.appendingPathComponent("tora/tora-70b-gsm8k-test.jsonl")

private func isThere(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: data.appendingPathComponent(path).path)
}

@Suite("Published data, where it is at hand")
struct PublishedDataTests {
    @Test(
        "each of ToRA's 1,319 records is accounted for, at the published 84.3",
        .enabled(if: isThere("tora"), "the public data is not beside the project"))
    func toraRecords() throws {
        let records = try ToRAImporter().records(in: tora)
        #expect(records.count == 1319)
        #expect(records.allSatisfy { $0.programs.count == 1 })
        #expect(records.filter { $0.outputs.isEmpty }.map(\.task.id) == ["gsm8k-test-146"])
        let trajectories = try ToRAImporter.read(tora)
        #expect(Set(trajectories.map(\.id)).count == 1319)
        #expect(trajectories.filter { $0.answer == nil }.map(\.task.id) == ["gsm8k-test-146"])
        // One syntax error, one timeout and the program that was never run.
        #expect(trajectories.count { $0.steps[0].observation.outcome.isFailure } == 3)
        func number(_ text: String?) -> Double? { text.flatMap { Double($0.replacing(",", with: "")) } }
        let right = trajectories.count {
            number($0.answer) != nil && number($0.answer) == number($0.task.answers.first)
        }
        #expect(right == 1112)
    }

    @Test(
        "agent-distillation's test sets have their published sizes",
        .enabled(if: isThere("agent-distillation"), "the public data is not beside the project"),
        arguments: [
            ("hotpotqa_500_20250422", 500, 0), ("bamboogle_125_20250507", 125, 0), ("musique_500_20250504", 500, 1),
            ("2wikimultihopqa_500_20250511", 500, 0), ("math_500_20250414", 500, 0), ("gsm_hard_500_20250507", 500, 0),
            ("aime_90_20250504", 90, 0), ("olymath_200_20250511", 200, 0),
        ])
    func testSets(name: String, count: Int, repeated: Int) throws {
        let file = data.appendingPathComponent("agent-distillation/test/\(name).json")
        let questions = try QuestionFile(file, family: .factual, split: "test")
        #expect(questions.tasks.count == count)
        #expect(questions.repeated == repeated)
        #expect(questions.omissions.isEmpty)
        #expect(Set(questions.tasks.map(\.id)).count == count)
        if name.hasPrefix("gsm_hard") {
            #expect(questions.tasks[0].answers == ["13138980"])
            #expect(questions.tasks.allSatisfy { !$0.answers[0].hasSuffix(".0") })
        }
    }

    @Test(
        "agent-distillation's training sets: four answers are missing",
        .enabled(if: isThere("agent-distillation"), "the public data is not beside the project"),
        arguments: [
            ("hotpotqa_1000_20250402", 0), ("math_1000_20250414", 2), ("math_medium_1000_20250430", 2),
        ])
    func trainingSets(name: String, unanswered: Int) throws {
        let file = data.appendingPathComponent("agent-distillation/train/\(name).json")
        let questions = try QuestionFile(file, family: .math, split: "train")
        #expect(questions.unanswered == unanswered)
        #expect(questions.tasks.count == 1000 - unanswered)
    }

    @Test(
        "GSM8K's test questions",
        .enabled(if: isThere("gsm8k"), "the public data is not beside the project"))
    func gsm8k() throws {
        let questions = try QuestionFile(
            data.appendingPathComponent("gsm8k/test.jsonl"), family: .math, split: "test")
        #expect(questions.tasks.count == 1319)
        #expect(questions.tasks[0].answers == ["18"])
    }

    @Test(
        "FireAct's 500 rewarded trajectories with 885 searches",
        .enabled(if: isThere("fireact"), "the public data is not beside the project"))
    func fireAct() throws {
        let trajectories = try FireActImporter.read(data.appendingPathComponent("fireact/hotpotqa.json"))
        #expect(trajectories.count == 500)
        #expect(trajectories.allSatisfy { $0.answer.map { !$0.isEmpty } == true && $0.task.answers == [$0.answer] })
        #expect(trajectories.reduce(0) { $0 + $1.toolCallCount } == 885)
        #expect(trajectories.allSatisfy { $0.steps.allSatisfy { !$0.observation.outcome.isFailure } })
    }
}
