import ArgumentParser
import Foundation
import RetortCore
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
    @Option(help: "The folder for the checkpoint.") var out: String?
    @OptionGroup var team: TeamOptions
    @Flag(help: "Only read the data, and print its hash and counts, to compare with a manifest.") var describe = false

    func validate() throws {
        guard describe != (out != nil) else { throw ValidationError("give either --out or --describe") }
    }

    func run() async throws {
        let pretraining = try Pretraining(URL(fileURLWithPath: recipe))
        if let out {
            try await team.working { try await pretraining.run(into: URL(fileURLWithPath: out)) }
        } else {
            print(String(decoding: try JSONCoding.prettyEncoder.encode(pretraining.describeData()), as: UTF8.self))
        }
    }
}
