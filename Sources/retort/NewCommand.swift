import ArgumentParser
import Foundation
import RetortCore
import RetortDomains
import RetortHub
import RetortLLM

/// `retort new`
struct NewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Write a small domain that works at once, to be changed into your own.",
        discussion: """
            A hotel's front desk: three tools in Python, a page of house rules to search, tasks with their tests, a teacher's \
            trajectories, a recipe on a model of eight million parameters that is trained in minutes, and one on SmolLM2-135M.

              retort new hotel
              retort check hotel
              retort run hotel/recipe.yaml

            Then change its parts: tools.py holds your functions, tasks/ your questions, documents/ your documents.
            """)

    @Argument(help: "The folder to write; it must not be there yet.") var name: String
    @Option(
        help: """
            The pretrained model that becomes the student: a folder, a GGUF file, or a name of 'retort models'; the Seedling of \
            eight million parameters unless given.
            """)
    var base: String?

    func run() throws {
        let folder = URL(fileURLWithPath: name)
        try DomainTemplate(name: folder.lastPathComponent, student: student()).write(to: folder)
        print(
            """
            \(name)/ holds a domain that works. Next:

              retort check \(name)
              retort run \(name)/recipe.yaml
            """)
    }

    private func student() throws -> DomainTemplate.Student {
        if let base {
            let isHere = FileManager.default.fileExists(atPath: base)
            let place = URL(fileURLWithPath: base)
            if isHere, !CheckpointSource.isGGUF(place), !CheckpointSource.holdsModel(place) {
                throw ValidationError(
                    "\(base) holds no model; name a model's folder, a GGUF file, or a name of 'retort models'")
            }
            // An error for a text that is neither a place nor a model's name.
            if !isHere { _ = try ModelLocator().find(base) }
            return .pretrained(base: isHere ? URL(fileURLWithPath: base).standardizedFileURL.path : base)
        }
        guard let seedling = NearbyFile.find("seedlings/8m").found else {
            throw ValidationError("the Seedlings are not here; name another model with --base")
        }
        return .seedling(folder: seedling.standardizedFileURL.path)
    }
}
