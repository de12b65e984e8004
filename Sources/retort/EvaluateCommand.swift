import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortLLM
import RetortRecipes
import RetortServer
import RetortStore

/// `retort evaluate`
struct EvaluateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Print the table of a run, or score predictions of a published test.",
        discussion: """
              retort evaluate recipes/quickstart.yaml
              retort evaluate toolbench-static out_of_domain.json --predictions predictions.jsonl
              retort evaluate virtual-apis G3_instruction.json --apis http://127.0.0.1:8080 --model checkpoints/umi --out runs/g3

            Whatever is missing of a recipe's run is made first, as 'retort run' would.
            """,
        subcommands: [Run.self, ToolBenchStatic.self, Virtual.self], defaultSubcommand: Run.self)

    /// `retort evaluate RECIPE`
    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Print the table of a finished run.")

        @OptionGroup var options: RecipeOptions
        @Flag(help: "Print summary.json instead of the table.") var json = false

        func run() async throws {
            var command = RunCommand()
            command.options = options
            command.json = json
            try await command.run()
        }
    }

    /// `retort evaluate virtual-apis`
    struct Virtual: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "virtual-apis", abstract: "Run queries of ToolBench or ToolAlpaca against virtual APIs.",
            discussion: """
                  retort serve-apis --model checkpoints/qwen --queries G3_instruction.json
                  retort evaluate virtual-apis G3_instruction.json --apis http://127.0.0.1:8080 --model checkpoints/umi \
                    --adapter planner=umi/planner --adapter caller=umi/caller --out runs/g3

                Each query ends in an answer, in giving up, or in a failure with its cause. Trajectories go to the folder's \
                store; a run that was killed goes on where it stood.
                """)

        @Argument(help: "StableToolBench's queries, or ToolAlpaca's set.") var queries: String
        @Option(help: "The address of a server of virtual APIs.") var apis: String
        @Option(help: "The checkpoint's folder of the agent's model.") var model: String
        @Option(
            name: .customLong("adapter"), parsing: .singleValue,
            help: ArgumentHelp("A role's adapter; a role without one is the model as it is.", valueName: "role=folder"))
        var adapters: [String] = []
        @Option(help: "The folder of the run.") var out: String
        @Option(help: "What the roles are told: brief (for students) or full.") var instructions: Instructions = .full
        @Option(help: "The most steps of a query.") var maximumSteps = 12
        @Option(help: "The most tokens of a role's turn.") var maximumTokens = 512
        @Option(help: "How many queries are worked on at once.") var concurrency = 16
        @Option(help: "Only the first so many queries.") var limit: Int?
        @Flag(help: "Hold every turn to its grammar: a decision, a name that is offered, valid arguments.")
        var constrained = false
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let set = URL(fileURLWithPath: queries).deletingPathExtension().lastPathComponent
            let file = try VirtualAPITasks(URL(fileURLWithPath: queries))
            for rejection in file.account.rejections {
                FileHandle.standardError.write(Data("record \(rejection.record): \(rejection.reason)\n".utf8))
            }
            let folder = URL(fileURLWithPath: out)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let run = VirtualAPIRun(
                policy: try policy(), apis: try VirtualAPIClient(apis), maximumSteps: maximumSteps,
                concurrency: concurrency)
            let summary = try await run.run(
                Array(file.tasks.prefix(limit ?? .max)),
                store: TrajectoryStore(folder.appendingPathComponent("trajectories.sqlite")), set: "virtual/\(set)")
            if json { return print(String(decoding: try ExactJSON.encode(summary), as: UTF8.self)) }
            print(
                "\(summary.queries) queries: \(summary.answered) answered, \(summary.gaveUp) gave up, "
                    + "\(summary.failed) failed; \(summary.steps) steps, \(summary.calls) calls")
            for (kind, count) in summary.failedCalls.sorted(by: { $0.key < $1.key }) { print("  \(count)  \(kind)") }
        }

        private func policy() throws -> RolePolicy {
            let named = adapters.map(ServedFolders.Named.init)
            let roles = Set(AgentRole.allCases.map(\.rawValue))
            guard named.allSatisfy({ roles.contains($0.name ?? "") }) else {
                throw ValidationError(
                    "--adapter must be ROLE=FOLDER, with one of \(roles.sorted().joined(separator: ", "))")
            }
            let folders = Dictionary(
                named.compactMap { place in place.name.map { ($0, place.folder) } }, uniquingKeysWith: { $1 })
            let local = try LocalModel(
                folder: URL(fileURLWithPath: model), options: .init(maximumSamples: concurrency, adapters: folders))
            func role(_ role: AgentRole) -> RoleModel {
                RoleModel(local, adapter: folders[role.rawValue] == nil ? nil : role.rawValue)
            }
            return RolePolicy(
                planner: role(.planner), caller: role(.caller), summarizer: role(.summarizer),
                instructions: instructions, constraint: constrained ? .grammar : .free, maximumTokens: maximumTokens)
        }
    }

    /// `retort evaluate toolbench-static`
    struct ToolBenchStatic: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "toolbench-static", abstract: "α-UMi's static metrics of predictions, turn by turn.",
            discussion: """
                  retort evaluate toolbench-static out_of_domain.json --predictions predictions.jsonl --json
                  retort evaluate toolbench-static out_of_domain.json --predictions reference

                The test is a file of α-UMi's second stage. The predictions stand in the test's order, one for each rationale \
                with a decision: a JSON list, or one a line, of texts or of objects with 'prediction' (or 'predictions', as \
                the original's files have it). A text is the planner's words, </s>, then 'caller: Action: …' or \
                'conclusion: …'. 'reference' scores the references themselves. Intervals draw whole trajectories.
                """)

        @Argument(help: "The test, a JSON file.") var test: String
        @Option(help: "The file of predictions, or 'reference'.") var predictions: String
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            let turns = try StaticTurn.turns(of: JSONFile.value(URL(fileURLWithPath: test)))
            let texts =
                predictions == "reference" ? turns.map(\.reference) : try read(URL(fileURLWithPath: predictions))
            let scores = try StaticScores(turns, predictions: texts)
            print(json ? String(decoding: try ExactJSON.encode(scores), as: UTF8.self) : scores.table)
        }

        private func read(_ file: URL) throws -> [String] {
            if file.pathExtension == "json" {
                let empty = (try? Data(contentsOf: file))?.allSatisfy { " \t\r\n".utf8.contains($0) } ?? false
                if empty { throw StaticTestError.noPredictions }
                return try StaticScores.predictions(JSONFile.value(file).array ?? [])
            }
            return try StaticScores.predictions(JSONLinesFile(file).read(JSONValue.self).records)
        }
    }
}
