import ArgumentParser
import Foundation
import RetortCore
import RetortEvaluation
import RetortRecipes

/// The options that all commands that carry out a recipe share.
struct RecipeOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The recipe, a YAML file.", valueName: "recipe"))
    var recipe: String

    @Option(help: "Where the run is kept; runs/ and the recipe's name unless given.")
    var folder: String?

    @Option(
        name: .customLong("student"),
        help: "Only this student of the recipe; can be given several times. What the others have learned stays.")
    var students: [String] = []

    @OptionGroup var sandbox: SandboxOptions
    @OptionGroup var teacher: TeacherOptions
    @OptionGroup var shared: StoreOptions
    @Flag(name: .customLong("dry-run"), help: "Tell what the teacher will take, and ask it nothing.")
    var isDryRun = false

    /// Opens the run.
    /// - Parameter samples: whether trainings write their samples.
    func open(keepingSamples samples: Bool = false) async throws -> (folder: URL, run: RecipeRun) {
        let (named, url) = try place()
        let recipe = try await named.locatingModels(fetching: true)
        let run = try await RecipeRun(
            recipe, folder: url, requiring: sandbox.required, keepingSamples: samples, fleet: shared.open())
        return (url, run)
    }

    /// Opens the run only to look at it, without leaving anything behind.
    func preview<Answer>(_ body: (RecipeRun) async throws -> Answer) async throws -> Answer {
        let (named, url) = try place()
        let recipe = try await named.locatingModels(fetching: false)
        return try await RecipeRun.preview(recipe, folder: url, requiring: sandbox.required, body)
    }

    private func place() throws -> (Recipe, URL) {
        var recipe = try Recipe(URL(fileURLWithPath: recipe))
        try teacher.apply(to: &recipe)
        if !students.isEmpty { recipe = try recipe.keeping(students: students) }
        return (recipe, URL(fileURLWithPath: folder ?? "runs/\(recipe.name)"))
    }

    /// Works until a goal is reached.
    /// - Returns: nil after a dry run, which prints its estimate.
    func run(
        until goal: RecipeRun.Goal, keepingSamples samples: Bool = false
    ) async throws -> (folder: URL, run: RecipeRun, outcome: RecipeRun.Outcome?)? {
        if isDryRun {
            print(try await preview { try await $0.estimate() }.text)
            return nil
        }
        let (url, run) = try await open(keepingSamples: samples)
        return (url, run, try await run.closing { try await $0.run(until: goal) })
    }
}

/// `retort run`
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Carry out a recipe: teach, filter, train, evaluate, report.",
        discussion: """
            What is done already is skipped, what was interrupted is continued, and what a change of the recipe \
            affects is done again. The table goes to standard output; the run's folder has summary.json and \
            report.html.

            --teacher takes the trajectories from a model behind an endpoint instead of the recipe's own teacher:

              retort run recipes/quickstart.yaml --teacher http://127.0.0.1:8000/v1 --dry-run

            --store distributes rollouts, evaluation and judging to workers on other machines (docs/fleet.md):

              retort run recipe.yaml --store postgresql://retort@db/fleet
              retort worker --store postgresql://retort@db/fleet          on each of them

            Started as several processes, by torchrun, mpirun or srun, it divides its trainings among them ('retort train --help').

            With 'rounds' in a training plan the student then acts itself and is corrected: its own right answers, steps that a \
            teacher repaired, better steps against worse ones (recipes/loops.yaml, docs/loops.md).
            """)

    @OptionGroup var options: RecipeOptions
    @OptionGroup var team: TeamOptions
    @Flag(help: "Print summary.json instead of the table.") var json = false

    func run() async throws {
        try await team.working(sharesRollouts: options.shared.store != nil) { [options, json] in
            guard let (folder, _, found) = try await options.run(until: .evaluate), let outcome = found else { return }
            if json {
                print(try outcome.json)
            } else {
                print(outcome.table)
                print("\(folder.path)/report.html shows the charts and the trajectories.")
            }
        }
    }
}

/// `retort rollout`
struct RolloutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollout", abstract: "Collect the teacher's trajectories of a recipe, and stop there.",
        discussion: "Prints how many of them are learned from, and why the others are not.")

    @OptionGroup var options: RecipeOptions

    func run() async throws {
        guard let (folder, run, _) = try await options.run(until: .teach) else { return }
        print(TeacherYield.table(try await run.yields()).markdown)
        print(folder.path)
    }
}

/// `retort train`
struct TrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Collect and train as a recipe says, without evaluating.",
        discussion: """
            A checkpoint is written every two minutes, or as the plan's 'checkpointMinutes' says, and on SIGINT and \
            SIGTERM: the same command then continues with the next update. results/training-STUDENT-KIND.json shows \
            what a training took, by what plan it went, which update it kept and why it ended.

            Several processes train together, on one machine or many, when torchrun, Open MPI or Slurm start them (docs/fleet.md):

              mpirun -n 2 retort train recipe.yaml
              srun --ntasks=8 retort train recipe.yaml
              torchrun --no-python --nproc-per-node 8 retort train recipe.yaml
              RANK=0 WORLD_SIZE=2 MASTER_ADDR=host MASTER_PORT=29500 retort train recipe.yaml   and RANK=1 elsewhere
            """)

    @OptionGroup var options: RecipeOptions
    @OptionGroup var team: TeamOptions
    @Flag(
        help: ArgumentHelp(
            "Also write the samples as they are trained on, results/samples-STUDENT-KIND.jsonl.",
            discussion: "Token ids, and which of them are targets: for a look, or for another trainer."))
    var samples = false

    func run() async throws {
        try await team.working(sharesRollouts: options.shared.store != nil) { [options, samples] in
            let done = try await options.run(until: .train, keepingSamples: samples)
            if let folder = done?.folder { print(folder.path) }
        }
    }
}
