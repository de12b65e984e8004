import ArgumentParser
import Foundation
import RetortCore
import RetortDomains

/// `retort new`
struct NewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Write a small domain that works at once, to be changed into your own.",
        discussion: """
            A hotel's front desk: three tools in Python, a page of house rules to search, tasks with their tests, a teacher's \
            trajectories, a recipe on a model of three million parameters that is trained in minutes, and one on SmolLM2-135M.

              retort new hotel
              retort check hotel
              retort run hotel/recipe.yaml

            Then change its parts: tools.py holds your functions, tasks/ your questions, documents/ your documents.
            """)

    @Argument(help: "The folder to write; it must not be there yet.") var name: String
    @Option(
        help: "The folder of the model that becomes the student; the Seedling of eight million parameters unless given."
    )
    var base: String?

    func run() throws {
        let folder = URL(fileURLWithPath: name)
        guard let place = base.map({ URL(fileURLWithPath: $0) }) ?? NearbyFile.find("seedlings/8m").found else {
            throw ValidationError("the Seedlings are not here; name the folder of another model with --base")
        }
        let base = place.standardizedFileURL.path
        try DomainTemplate(name: folder.lastPathComponent, base: base).write(to: folder)
        print(
            """
            \(name)/ holds a domain that works. Next:

              retort check \(name)
              retort run \(name)/recipe.yaml
            """)
    }
}
