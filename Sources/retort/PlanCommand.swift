import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes

/// `retort plan`
struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Tell which stages of a recipe would run, and why.",
        discussion: """
            A stage runs when it was never made, when something that it depends on changed, when it was interrupted or when \
            some of it failed. Nothing is asked, trained or removed.

              retort plan recipes/quickstart.yaml
            """)

    @OptionGroup var options: RecipeOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let plan = try await options.preview { try await $0.plan() }
        print(json ? String(decoding: try JSONCoding.prettyEncoder.encode(plan), as: UTF8.self) : plan.text)
    }
}
