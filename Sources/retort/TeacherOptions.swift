import ArgumentParser
import RetortAgents
import RetortCore
import RetortRecipes

/// A teacher given on the command line, which replaces the recipe's own.
struct TeacherOptions: ParsableArguments {
    @Option(
        name: .customLong("teacher"),
        help: ArgumentHelp(
            "Let the model behind an OpenAI-compatible endpoint teach, such as http://127.0.0.1:8000/v1; may be repeated.",
            valueName: "url"))
    var addresses: [String] = []

    @Option(
        name: .customLong("teacher-model"),
        help: ArgumentHelp("What the endpoint calls it; its only model unless given.", valueName: "name"))
    var model: String?

    @Option(
        name: .customLong("teacher-key"),
        help: ArgumentHelp("The environment variable that holds the endpoint's key.", valueName: "variable"))
    var key: String?

    @Option(
        name: .customLong("teacher-instructions"),
        help: "The system prompt: full for a model that knows nothing of Retort, brief for a distilled one.")
    var instructions: Instructions?

    @Flag(
        name: .customLong("first-thought"),
        help: "Begin the teacher's work with its own chain of thought's first thought.")
    var firstThought = false

    /// Applies the options to a recipe.
    func apply(to recipe: inout Recipe) throws {
        var plan = recipe.teacher
        if !addresses.isEmpty {
            var given = plan ?? TeacherPlan(endpoints: [])
            given.endpoints = addresses.map(EndpointPlan.init(url:))
            (given.folder, given.weights) = (nil, nil)
            plan = given
        }
        guard var plan else {
            guard model == nil, key == nil, instructions == nil, !firstThought else {
                throw ValidationError("there is no teacher to set this for; name one with --teacher URL")
            }
            return
        }
        plan.asking.model = model ?? plan.asking.model
        plan.asking.instructions = instructions ?? plan.asking.instructions
        if firstThought { plan.asking.firstThought = true }
        if let key { for index in plan.endpoints.indices { plan.endpoints[index].key = key } }
        recipe.teacher = plan
    }
}
