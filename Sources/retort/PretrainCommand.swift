import ArgumentParser
import Foundation
import RetortRecipes

/// `retort pretrain`
struct PretrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pretrain", abstract: "Make a Seedling base from text that the world writes.",
        discussion: """
            The recipes in seedlings/ made the bases that come with Retort; each takes an hour or so on two cores.

              retort pretrain seedlings/3m.yaml --out seedlings/3m
            """)

    @Argument(help: "The pretraining recipe, a YAML file.") var recipe: String
    @Option(help: "The folder for the checkpoint.") var out: String

    func run() async throws {
        try await Pretraining(URL(fileURLWithPath: recipe)).run(into: URL(fileURLWithPath: out))
    }
}
