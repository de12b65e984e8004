import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortRecipes

/// `retort make-tasks`
struct MakeTasksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-tasks",
        abstract: "Let a teacher make a domain's training tasks from its tools and documents.",
        discussion: """
            The teacher calls the domain's tools, asks a question about what it found, and solves the question again \
            several times. A question becomes a task if its answer comes out the same, was looked up, and it is not a \
            test question or nearly one. FILE.log lists all attempts; a command that was stopped continues when it is \
            started again.

              retort make-tasks hotel --endpoint http://127.0.0.1:8000/v1 --tasks 100 --out hotel/tasks/made.jsonl
              retort make-tasks hotel --model qwen2.5-coder-1.5b --tasks 20 --out made.jsonl --trajectories taught.jsonl

            The file is one of the domain's 'tasks: {train: …}', and the trajectories are a recipe's 'teacher: \
            {trajectories: …}': nothing is paid for twice.
            """)

    @Argument(help: "The domain: a folder with domain.yaml, or the file.") var domain: String
    @Option(help: ArgumentHelp("The file to write the tasks to, as JSON Lines.", valueName: "file")) var out: String
    @Option(help: ArgumentHelp("The file to write their solutions to, to learn from.", valueName: "file"))
    var trajectories: String?
    @Option(name: .customLong("tasks"), help: "How many tasks are made.") var count = 50
    @Option(help: "The most questions that are tried; four times the tasks unless given.") var tries: Int?
    @Option(help: "How often each question is solved anew.") var solutions = 4
    @Option(help: "How many of these must reach the same answer.") var agreeing = 3
    @Option(help: "The temperature of questions and solutions, 0 to 2.") var temperature = 0.8
    @Flag(help: "Also keep answers that no tool showed and no program computed.") var withoutEvidence = false
    @Option(help: "The seed that decides where questions begin.") var seed: UInt64 = 7
    @Option(help: "The most tokens that the teacher may read and write in this call.") var budget: Int?
    @Option(help: "Questions at once.") var concurrency = 8
    @Option(help: "Which form of agent the teacher is: agent or tool-agent; the domain's unless given.") var system:
        String?
    @Flag(help: "Print the result as JSON.") var json = false

    @OptionGroup(title: "The teacher") var teacher: PromptedOptions
    @OptionGroup var engine: EngineOptions
    @OptionGroup var sandbox: SandboxOptions

    func validate() throws {
        guard (1...1_000_000).contains(count) else { throw ValidationError("--tasks must be 1 to 1000000") }
        if let tries, tries < 1 { throw ValidationError("--tries must be 1 or more") }
        guard (1...64).contains(solutions), (1...solutions).contains(agreeing) else {
            throw ValidationError("--solutions must be 1 to 64, and --agreeing 1 to as many")
        }
        guard (0...2).contains(temperature) else { throw ValidationError("--temperature must be 0 to 2") }
        guard (1...256).contains(concurrency) else { throw ValidationError("--concurrency must be 1 to 256") }
        if let budget, budget < 1 { throw ValidationError("--budget must be 1 or more") }
        if let system, !["agent", "tool-agent"].contains(system) {
            throw ValidationError("--system must be agent or tool-agent: others call no tools")
        }
        guard teacher.model != nil || teacher.endpoint != nil else {
            throw ValidationError("say who makes them with --model FOLDER or --endpoint URL")
        }
    }

    func run() async throws {
        var plan = TaskMaker.Plan()
        (plan.tasks, plan.tries) = (count, tries ?? 4 * count)
        (plan.solutions, plan.agreeing, plan.temperature) = (solutions, agreeing, temperature)
        (plan.evidence, plan.seed) = (!withoutEvidence, seed)
        let budget = budget
        let (agent, _) = try await teacher.agent(
            in: URL(fileURLWithPath: domain), as: system, requiring: sandbox, engine: engine
        ) { model in
            guard let budget else { return model }
            return BudgetedModel(model, try Budget(tokens: budget, model: model.identity))
        }
        let tally: TaskMaker.Tally
        do {
            tally = try await TaskMaker(agent, plan).make(
                into: URL(fileURLWithPath: out), trajectories: trajectories.map { URL(fileURLWithPath: $0) },
                concurrency: concurrency)
        } catch {
            await agent.close()
            throw error
        }
        await agent.close()
        try show(tally)
        if tally.tasks == 0 { throw ExitCode.failure }
    }

    private func show(_ tally: TaskMaker.Tally) throws {
        if json {
            struct Result: Encodable {
                var tasks: Int
                var outcomes: [String: Int]
                var promptTokens: Int
                var completionTokens: Int
                var ending: String?
            }
            let outcomes = Dictionary(uniqueKeysWithValues: tally.outcomes.map { ($0.key.rawValue, $0.value) })
            let result = Result(
                tasks: tally.tasks, outcomes: outcomes, promptTokens: tally.usage.promptTokens,
                completionTokens: tally.usage.completionTokens, ending: tally.ending)
            return print(String(decoding: try JSONCoding.prettyEncoder.encode(result), as: UTF8.self))
        }
        print("\(tally.tasks) tasks in \(out)")
        for (outcome, count) in tally.outcomes.sorted(by: { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) })
        {
            print("\(count)\t\(outcome.rawValue)")
        }
        print("\(tally.usage.promptTokens) tokens read, \(tally.usage.completionTokens) written")
        if let ending = tally.ending { print("Fewer than \(count): \(ending)") }
    }
}
