import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortRecipes
import RetortStore

extension EvaluateCommand {
    /// `retort evaluate toolalpaca`
    struct ToolAlpaca: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "toolalpaca", abstract: "ToolAlpaca's Proc. and Ans. of runs, by a judge model.",
            discussion: """
                  retort evaluate virtual-apis eval_simulated.json --apis http://127.0.0.1:8080 --model checkpoints/umi --out runs/alpaca
                  retort evaluate toolalpaca eval_simulated.json --run runs/alpaca --endpoint https://api.example.com/v1 \
                --endpoint-model large --endpoint-key API_KEY --votes 3

                The judge compares each run with the calls that are known to solve the task: whether the process is \
                right, and whether the answer is. Its replies are kept in judge.sqlite in the run's folder, so nothing \
                is judged twice, and a killed command continues where it was. The single verdicts are in \
                judgements.jsonl.
                """)

        @Argument(help: "ToolAlpaca's set, with the expected calls.") var tasks: String
        @Option(help: "The folder of a run of 'evaluate virtual-apis' over this set.") var run: String
        @OptionGroup(title: "The judge") var judge: ModelOptions
        @Option(help: "How often a question is asked; an odd number gives fewer ties.") var votes = 3
        @Option(help: "The temperature of several votes; a single one is greedy.") var temperature = 0.7
        @Option(help: "How many runs are judged at once.") var concurrency = 8
        @Flag(
            help: "Have the endpoint hold replies to their JSON schema (response_format), which not every server can.")
        var enforceSchema = false
        @Flag(help: "Print JSON.") var json = false

        func validate() throws {
            guard votes > 0, concurrency > 0, temperature >= 0 else {
                throw ValidationError("--votes and --concurrency must be at least 1, and --temperature not negative.")
            }
            guard !enforceSchema || judge.endpoint != nil else {
                throw ValidationError("--enforce-schema needs --endpoint.")
            }
        }

        func run() async throws {
            let file = URL(fileURLWithPath: tasks)
            let alpaca = try ToolAlpacaFile(file)
            alpaca.account.showRejections()
            guard !alpaca.tasks.isEmpty else { throw ValidationError("\(tasks) is no set of ToolAlpaca's") }
            let folder = URL(fileURLWithPath: run)
            let store = try TrajectoryStore(folder.appendingPathComponent("trajectories.sqlite"), .existing)
            let opened = try await judge.place().open(
                concurrency: concurrency * votes, schema: enforceSchema ? ToolAlpacaJudge.replySchema : nil)
            let tape = try Cassette(folder.appendingPathComponent("judge.sqlite"), .record)
            let evaluation = ToolAlpacaEvaluation(
                judge: ToolAlpacaJudge(
                    model: tape.model(opened.identity, opened), votes: votes, temperature: temperature),
                concurrency: concurrency)
            let (report, judged) = try await evaluation.run(
                alpaca.tasks, store: store, set: VirtualAPITasks.set(of: file))
            guard !judged.isEmpty else {
                throw ValidationError(
                    "\(run) has no runs of these tasks; make them with 'retort evaluate virtual-apis'")
            }
            try JSONLines.write(judged, to: folder.appendingPathComponent("judgements.jsonl"))
            print(json ? String(decoding: try ExactJSON.encode(report), as: UTF8.self) : report.table)
        }
    }
}
