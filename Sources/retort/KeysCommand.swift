import ArgumentParser
import RetortRecipes

/// `retort keys`
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "List every key that a recipe may have, or write their JSON schema for an editor.",
        discussion: """
            One line for each key: its values and, in brackets, its default. The keys are explained in \
            docs/recipes.md, docs/domains.md, docs/teachers.md and docs/loops.md.

              retort keys evaluation
              retort keys training.agent.rounds
              retort keys --schema > recipe.schema.json

            An editor with the YAML language server completes and checks a recipe whose first line is

              # yaml-language-server: $schema=recipe.schema.json
            """)

    @Argument(help: "Only the keys under this one, such as training.agent.") var path: String = ""
    @Flag(help: "Write the JSON schema of a whole recipe.") var schema = false

    func run() throws {
        let keys = try RecipeKeys()
        if schema {
            guard path.isEmpty else { throw ValidationError("--schema is of the whole recipe; leave out '\(path)'") }
            return print(keys.schema)
        }
        guard let lines = keys.lines(under: path) else {
            throw ValidationError("a recipe has no key '\(path)'; 'retort keys' lists all of them")
        }
        for line in lines { print(line) }
    }
}
