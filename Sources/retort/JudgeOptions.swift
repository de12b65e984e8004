import ArgumentParser
import RetortCore
import RetortEvaluation
import RetortRecipes

/// A judge of factual answers, named on the command line.
struct JudgeOptions: ParsableArguments {
    @Option(
        name: .customLong("judge"),
        help: ArgumentHelp(
            "Also let the model behind an OpenAI-compatible endpoint judge factual answers; may be repeated.",
            valueName: "url"))
    var addresses: [String] = []
    @Option(
        name: .customLong("judge-model"),
        help: ArgumentHelp("What the endpoint calls it; its only model unless given.", valueName: "name"))
    var model: String?
    @Option(
        name: .customLong("judge-key"),
        help: ArgumentHelp("The environment variable that holds the endpoint's key.", valueName: "variable"))
    var key: String?
    @Option(name: .customLong("judge-votes"), help: "Votes for each answer, an odd number; one is greedy.")
    var votes = 3
    @Option(
        name: .customLong("judge-tape"),
        help: ArgumentHelp(
            "Keep the judge's replies in this file, and do not ask again what it holds.", valueName: "file"))
    var tape: String?

    func validate() throws {
        if addresses.isEmpty, model != nil || key != nil || tape != nil {
            throw ValidationError("There is no judge to set this for; name one with --judge URL.")
        }
        guard votes % 2 == 1, (1...99).contains(votes) else {
            throw ValidationError("--judge-votes must be an odd number from 1 to 99, so that there is a majority.")
        }
    }

    /// The judge, which is asked about every answer; nil when none is given.
    func judge() async throws -> ModelJudge? {
        guard !addresses.isEmpty else { return nil }
        var plan = TeacherPlan(endpoints: addresses.map(EndpointPlan.init(url:)))
        plan.asking.model = model
        if let key { for index in plan.endpoints.indices { plan.endpoints[index].key = key } }
        return ModelJudge(try await plan.openJudge(recordingTo: tape), votes: votes, asking: .all)
    }
}
