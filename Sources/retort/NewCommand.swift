import ArgumentParser
import Foundation
import RetortDomains

/// `retort new`
struct NewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Write a small domain that works at once, to be changed into your own.",
        discussion: """
            A hotel's front desk: three tools in Python, a page of house rules to search, tasks with their tests, a teacher's \
            trajectories, and a recipe on a model of three million parameters that is trained in minutes.

              retort new hotel
              retort check hotel
              retort run hotel/recipe.yaml

            Then change its parts: tools.py holds your functions, tasks/ your questions, documents/ your documents.
            """)

    @Argument(help: "The folder to write; it must not be there yet.") var name: String
    @Option(help: "The folder of the model that becomes the student.") var base: String = "seedlings/3m"

    func run() throws {
        let folder = URL(fileURLWithPath: name)
        let base = URL(fileURLWithPath: base).standardizedFileURL.path
        try DomainTemplate(name: folder.lastPathComponent, base: base).write(to: folder)
        print(
            """
            \(name)/ holds a domain that works. Next:

              retort check \(name)
              retort run \(name)/recipe.yaml
            """)
    }
}
