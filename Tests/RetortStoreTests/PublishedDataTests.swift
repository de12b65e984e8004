import Foundation
import RetortAgents
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

    /// What an import, an export and another import make of a file.
    private func afterTrips(_ trajectories: [Trajectory]) throws {
        let folder = try ScratchFolder()
        let (first, second) = (folder.file("first.jsonl"), folder.file("second.jsonl"))
        try JSONLines.write(trajectories, to: first)
        let read = try JSONLinesFile(first).read(Trajectory.self).records
        #expect(read == trajectories)
        try JSONLines.write(read, to: second)
        #expect(try Data(contentsOf: first) == Data(contentsOf: second))
        let atif = folder.file("third.jsonl")
        try ATIFExporter.write(trajectories, to: atif)
        let (back, account) = try ATIFImporter().read(atif)
        #expect(account == ImportAccount(all: trajectories.count))
        #expect(back == trajectories)
    }

    @Test(
        "FireAct's trajectories survive files and ATIF, byte for byte; their text can be written again",
        .enabled(if: isThere("fireact"), "the public data is not beside the project"))
    func fireActTrips() throws {
        let file = data.appendingPathComponent("fireact/hotpotqa.json")
        let trajectories = try FireActImporter.read(file)
        try afterTrips(trajectories)
        let records = try #require(try JSONFile.value(file).array)
        #expect(records.count == 500)
        for (record, trajectory) in zip(records, trajectories) {
            let lines = trajectory.steps.flatMap { step -> [String] in
                let action =
                    switch step.action {
                    case .toolCall(_, let arguments): "search[\(arguments["query"]?.string ?? "")]"
                    case .answer(let answer): "finish[\(answer.text)]"
                    default: ""
                    }
                return ["Thought: \(step.thought)", "Action: \(action)", "Observation: \(step.observation.text)"]
            }
            let words = { (text: String) in text.split(whereSeparator: \.isWhitespace) }
            #expect(words(lines.joined(separator: "\n")) == words(record["output"]?.string ?? ""))
        }
    }

    @Test(
        "ToRA's trajectories survive files and ATIF, byte for byte",
        .enabled(if: isThere("tora"), "the public data is not beside the project"))
    func toraTrips() throws {
        let trajectories = try ToRAImporter.read(tora)
        try afterTrips(trajectories)
        for (record, trajectory) in zip(try ToRAImporter().records(in: tora), trajectories) {
            #expect(trajectory.steps.compactMap(\.action.code) == record.programs)
            #expect(
                record.outputs
                    == trajectory.steps.filter { $0.action.code != nil && !record.outputs.isEmpty }
                    .map(\.observation.text))
        }
    }

    @Test(
        "ToolBench's raw data gives α-UMi's samples: 79, 79, 59 and 14, targets and histories to the letter",
        .enabled(if: isThere("alpha-umi"), "the public data is not beside the project"),
        arguments: zip(
            [AgentRole.backbone, AgentRole.planner, AgentRole.caller, AgentRole.summarizer], [79, 79, 59, 14]))
    func roleSamples(role: AgentRole, count: Int) throws {
        let folder = data.appendingPathComponent("alpha-umi/train-example")
        let samples = try #require(
            try JSONFile.value(folder.appendingPathComponent("train_\(role.rawValue).json")).array)
        #expect(samples.count == count)
        for stage in 1...2 {
            let (trajectories, account) = try ToolBenchImporter().read(
                folder.appendingPathComponent("raw_data/raw_data_stage_\(stage).json"))
            #expect(trajectories.count == 20)
            #expect(account.rejections.isEmpty)
            let view = RoleView(role, instructions: .full, observationLimit: .max)
            let examples = trajectories.flatMap { view.examples(for: $0) }
            #expect(examples.map { $0.last?.text } == samples.map { $0["target"]?.string })
            // What was said before stands in the prompt, with our words around it.
            let missing = zip(examples, samples).flatMap { example, sample in
                let prompt = example.dropLast().map(\.text).joined(separator: "\n")
                return (sample["history"]?.array ?? []).compactMap { $0["value"]?.string }
                    .filter { !$0.isEmpty && !prompt.contains($0) }
            }
            #expect(missing.prefix(2) == [])
        }
    }

    @Test(
        "α-UMi's test trajectories: 200, with 728 decisions",
        .enabled(if: isThere("alpha-umi"), "the public data is not beside the project"))
    func staticTest() throws {
        let (trajectories, account) = try ToolBenchImporter(split: "out").read(
            data.appendingPathComponent("alpha-umi/out_of_domain_first200.json"))
        #expect(trajectories.count == 200)
        #expect(account.repairs.values.map(\.count).reduce(0, +) > 0)
        #expect(trajectories.reduce(0) { $0 + $1.steps.count } == 728)
        try afterTrips(trajectories)
    }

    @Test(
        "StableToolBench's queries: every one has tools, every tool a function that can be served",
        .enabled(if: isThere("stabletoolbench"), "the public data is not beside the project"),
        arguments: [("G1_instruction", 163), ("G3_instruction", 61)])
    func stableToolBench(name: String, count: Int) throws {
        let queries = try ToolBenchQueries(data.appendingPathComponent("stabletoolbench/\(name).json"))
        #expect(queries.tasks.count == count)
        #expect(queries.account.rejections.isEmpty)
        for task in queries.tasks {
            #expect(!task.tools.isEmpty)
            #expect(Set(task.tools.map(\.name)) == Set(task.virtualAPIs.keys))
            #expect(
                task.virtualAPIs.values.allSatisfy {
                    queries.documents[VirtualAPIName(category: $0.category, tool: $0.tool, api: $0.api)] != nil
                })
        }
    }

    @Test(
        "ToolAlpaca's ten simulated APIs: 100 instructions, whose expected calls are of tools that are offered",
        .enabled(if: isThere("toolalpaca"), "the public data is not beside the project"))
    func toolAlpaca() throws {
        let alpaca = try ToolAlpacaFile(data.appendingPathComponent("toolalpaca/eval_simulated.json"))
        #expect(alpaca.account.imported == 10)
        #expect(alpaca.tasks.count == 100)
        let calls = alpaca.tasks.flatMap { task in
            (task.metadata["golden"]?.array ?? []).map { (task, $0["Action"]?.string ?? "") }
        }
        #expect(calls.count > 100)
        // Some ask for the details of an API first, which is no function; one is marked as optional.
        let named = calls.filter { $0.1 != "getDetails" && !$0.1.hasPrefix("[Optional]") }
        #expect(calls.count - named.count == 9)
        #expect(named.allSatisfy { task, name in task.tools.contains { $0.name == name } })
    }
}
