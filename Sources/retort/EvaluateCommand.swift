import ArgumentParser
import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

/// `retort evaluate`
struct EvaluateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Print the table of a run, or score predictions of a published test.",
        discussion: """
              retort evaluate recipes/quickstart.yaml
              retort evaluate toolbench-static out_of_domain.json --predictions predictions.jsonl
              retort evaluate virtual-apis G3_instruction.json --apis http://127.0.0.1:8080 --model checkpoints/umi --out runs/g3
              retort evaluate toolalpaca eval_simulated.json --run runs/alpaca --endpoint http://127.0.0.1:8000/v1
              retort evaluate retrieval passages.jsonl questions.jsonl --encoder minilm

            Missing parts of a recipe's run are made first, as by 'retort run'.
            """,
        subcommands: [Run.self, ToolBenchStatic.self, Virtual.self, ToolAlpaca.self, Retrieval.self],
        defaultSubcommand: Run.self)

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
