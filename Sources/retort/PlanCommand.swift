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
            some of it failed. Nothing is asked, trained or removed. What 'retort run' would refuse is told, too, and the exit \
            status is then 1.

              retort plan recipes/quickstart.yaml
            """)

    @OptionGroup var options: RecipeOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let (plan, refusals) = try await options.preview { (try await $0.plan(), $0.refusals()) }
        print(json ? String(decoding: try JSONCoding.prettyEncoder.encode(plan), as: UTF8.self) : plan.text)
        guard refusals.isEmpty else { throw RunError.unusable(refusals) }
    }
}
