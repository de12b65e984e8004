import ArgumentParser
import Foundation
import RetortCore
import RetortEvaluation
import RetortRecipes

/// What all commands that carry out a recipe share.
struct RecipeOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The recipe, a YAML file.", valueName: "recipe"))
    var recipe: String

    @Option(help: "Where the run is kept; runs/ and the recipe's name unless given.")
    var folder: String?

    @OptionGroup var sandbox: SandboxOptions

    /// Works up to a goal.
    func run(until goal: RecipeRun.Goal) async throws -> (folder: URL, outcome: RecipeRun.Outcome?) {
        let recipe = try Recipe(URL(fileURLWithPath: recipe))
        let url = URL(fileURLWithPath: folder ?? "runs/\(recipe.name)")
        return (url, try await RecipeRun(recipe, folder: url, requiring: sandbox.required).run(until: goal))
    }
}

/// `retort run`
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Carry out a recipe: teach, filter, train, evaluate, report.",
        discussion: """
            What is done already is skipped, what was interrupted goes on where it stood, and what a change of the \
            recipe touches is done anew. The table goes to standard output; the run's folder holds summary.json and \
            report.html.
            """)

    @OptionGroup var options: RecipeOptions
    @Flag(help: "Print summary.json instead of the table.") var json = false

    func run() async throws {
        let (folder, outcome) = try await options.run(until: .evaluate)
        guard let outcome else { return }
        if json {
            print(try outcome.json)
        } else {
            print(outcome.table)
            print("\(folder.path)/report.html shows the charts and the trajectories.")
        }
    }
}

/// `retort rollout`
struct RolloutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollout", abstract: "Collect the teacher's trajectories of a recipe, and stop there.")

    @OptionGroup var options: RecipeOptions

    func run() async throws { print(try await options.run(until: .teach).folder.path) }
}

/// `retort train`
struct TrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Collect and train as a recipe says, without evaluating.")

    @OptionGroup var options: RecipeOptions

    func run() async throws { print(try await options.run(until: .train).folder.path) }
}

/// `retort evaluate`
struct EvaluateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Print the table of a finished run.",
        discussion: "Whatever is missing of the run is made first, as 'retort run' would.")

    @OptionGroup var options: RecipeOptions
    @Flag(help: "Print summary.json instead of the table.") var json = false

    func run() async throws {
        var command = RunCommand()
        command.options = options
        command.json = json
        try await command.run()
    }
}
