import ArgumentParser
import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

/// `retort benchmarks`
struct BenchmarksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks", abstract: "List the known benchmarks, and check those that are present.",
        discussion: """
              retort benchmarks
              retort benchmarks --data ../shared/data
              retort benchmarks --data ../shared/data --train ../shared/data/agent-distillation/train/math_1000_20250414.json
              retort benchmarks --data questions --descriptions mine.json

            With a data folder, each file's count and checksum are compared with what is expected, repeated and unanswered
            records are counted, the grader is tried on its answers (each must be accepted for its own question, and hardly
            any for another), and, with training files, questions that training holds too are named. Descriptions of your
            own are a JSON list; docs/benchmarks.md shows one. Ends with code 1 when a benchmark is not what it should be.
            """)

    @Option(help: "The folder with the benchmarks' files.") var data: String?
    @Option(parsing: .upToNextOption, help: "Only these benchmarks.") var only: [String] = []
    @Option(parsing: .upToNextOption, help: "Files of training questions, to look for in the benchmarks.")
    var train: [String] = []
    @Option(help: "A JSON file that describes further benchmarks.") var descriptions: String?
    @Flag(help: "Print JSON, one value a line.") var json = false

    func run() async throws {
        let known = Benchmark.all + (try descriptions.map { try Benchmark.read(URL(fileURLWithPath: $0)) } ?? [])
        let chosen = only.isEmpty ? known : try only.map { try Benchmark.named($0, among: known) }
        guard let data else { return list(chosen) }
        let folder = URL(fileURLWithPath: data)
        let training = try trainingText()
        var audits: [BenchmarkAudit] = []
        var absent: [Benchmark] = []
        for benchmark in chosen {
            let file = folder.appendingPathComponent(benchmark.file)
            guard FileManager.default.fileExists(atPath: file.path) else {
                if !only.isEmpty { throw BenchmarkError.missing(benchmark: benchmark.name, file: file.path) }
                absent.append(benchmark)
                continue
            }
            audits.append(try await BenchmarkAudit.of(benchmark, in: folder, training: training).audit)
        }
        try show(audits, absent: absent)
        if audits.contains(where: { $0.isComplete == false || $0.isUnchanged == false }) { throw ExitCode.failure }
    }

    private func show(_ audits: [BenchmarkAudit], absent: [Benchmark]) throws {
        if json {
            for audit in audits { print(String(decoding: try JSONCoding.encoder.encode(audit), as: UTF8.self)) }
            return
        }
        guard !audits.isEmpty else {
            throw ValidationError(
                "--data \(data ?? "") holds none of them; 'retort benchmarks' lists where each belongs")
        }
        print(BenchmarkTable.render(audits), terminator: "")
        print("\(audits.reduce(0) { $0 + $1.n }) questions.")
        for remark in BenchmarkTable.remarks(audits) { print("- \(remark)") }
        if !absent.isEmpty { print("Not there: \(absent.map { "\($0.name) (\($0.file))" }.joined(separator: ", "))") }
    }

    private func trainingText() throws -> TrainingText? {
        guard !train.isEmpty else { return nil }
        return TrainingText(
            try train.flatMap { path in
                try QuestionFile(URL(fileURLWithPath: path), family: .math, split: "train", tornEnd: .leaveOut).tasks
                    .map(\.question)
            })
    }

    private func list(_ benchmarks: [Benchmark]) {
        for benchmark in benchmarks {
            if json {
                let data = (try? JSONCoding.encoder.encode(benchmark)) ?? Data()
                print(String(decoding: data, as: UTF8.self))
            } else {
                let count = benchmark.count.map { "\($0) questions" } ?? "any number of questions"
                print(
                    "\(benchmark.name): \(benchmark.title), \(benchmark.family.rawValue), \(count), \(benchmark.file)")
            }
        }
    }
}
