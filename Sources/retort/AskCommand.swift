import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortRecipes

/// `retort ask`
struct AskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Let an agent answer a question, and watch it work.",
        discussion: """
            The agent is an agent's folder, or one of a run's. Without a question, a task that the agent was made for \
            is taken. An agent may be asked while the run goes on, or while it is served.

              retort ask
              retort ask runs/hotel "Please book room 321 for Rosa."
              retort ask runs/hotel --student 3m --system agent+sag "Please book room 321 for Rosa."
              retort ask hotel-agent --base models/SmolLM2-135M "Who has room 321?"

            In a domain, any model can be asked; it is prompted to act as an agent:

              retort ask hotel --model models/Qwen2.5-0.5B-Instruct "Who has room 321?"
              retort ask hotel --endpoint http://127.0.0.1:8000/v1 --system tool-agent "Who has room 321?"
            """)

    @Argument(help: "An agent's folder, a run, or a domain; the run of 'make demo' unless given.") var place: String?
    @Argument(help: "The question.") var question: String?
    @Option(help: "Sample this many actions per step and let them vote; 1 disables voting.") var votes: Int?

    @OptionGroup var agent: AgentOptions
    @OptionGroup(title: "A model in a domain") var prompted: PromptedOptions

    func validate() throws {
        if let votes, !(1...64).contains(votes) { throw ValidationError("--votes must be 1 to 64") }
    }

    func run() async throws {
        let (place, question) = subject
        let (agent, way) = try await self.agent.open(URL(fileURLWithPath: place), prompted)
        guard let task = question.map(agent.task) ?? agent.sampleTask else {
            throw ValidationError("\(place) knows no task to show; ask a question")
        }
        var chosen = way
        if let votes { chosen.votes = votes }
        print("Agent: \(agent.title)\nQuestion: \(task.question)\n")
        do {
            try await StepPrinter().show(agent.rollout(chosen).run(task))
        } catch {
            await agent.close()
            throw error
        }
        await agent.close()
    }

    /// A single word is a place if one of that name exists, otherwise the question.
    private var subject: (place: String, question: String?) {
        guard let place else { return (Self.usual, nil) }
        guard question == nil, !FileManager.default.fileExists(atPath: place), place.contains(where: \.isWhitespace)
        else { return (place, question) }
        return (Self.usual, place)
    }

    /// The agent that `make demo` creates.
    private static var usual: String {
        FileManager.default.fileExists(atPath: "runs/demo") ? "runs/demo" : "runs/quickstart"
    }
}

/// A model that is prompted to act as an agent in a domain.
struct PromptedOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("A checkpoint or adapter to be asked in a domain, or a model's name.", valueName: "model"))
    var model: String?
    @Option(help: ArgumentHelp("In its place, an OpenAI-compatible endpoint.", valueName: "url")) var endpoint: String?
    @Option(help: ArgumentHelp("What the endpoint calls the model.", valueName: "name")) var endpointModel: String?
    @Option(help: ArgumentHelp("The environment variable that holds the endpoint's key.", valueName: "variable"))
    var endpointKey: String?
    @Option(help: "How much its prompt says: full, or brief for a model that was trained so.")
    var instructions: Instructions?
    @Option(help: "The most steps that it takes (8).") var steps: Int?
    @Option(help: "The most tokens of a turn (1024).") var tokens: Int?

    var isEmpty: Bool {
        [model, endpoint, endpointModel, endpointKey].allSatisfy { $0 == nil } && instructions == nil && steps == nil
            && tokens == nil
    }

    func validate() throws {
        guard model == nil || endpoint == nil else { throw ValidationError("give --model or --endpoint, not both") }
        guard endpoint != nil || (endpointModel == nil && endpointKey == nil) else {
            throw ValidationError("--endpoint-model and --endpoint-key need --endpoint URL")
        }
        if let steps, !(1...1000).contains(steps) { throw ValidationError("--steps must be 1 to 1000") }
        if let tokens, !(1...1_000_000).contains(tokens) { throw ValidationError("--tokens must be 1 to 1000000") }
    }

    /// Opens the domain and the model.
    /// - Parameters:
    ///   - system: the form of the agent; nil is the domain's.
    ///   - payer: a wrapper between the agent and its model, such as a budget.
    func agent(
        in url: URL, as system: String?, requiring sandbox: SandboxOptions, engine: EngineOptions,
        through payer: (any LanguageModel) throws -> any LanguageModel = { $0 }
    ) async throws -> (Agent, AgentWay) {
        guard let place = try await place(engine) else {
            throw ValidationError(
                "\(url.path) is a domain: say who is asked there with --model FOLDER or --endpoint URL")
        }
        let plan = try DomainPlan(url)
        let limits = AgentPlan.Limits(steps: steps ?? 8, tokens: tokens ?? 1024)
        let (form, way) = try Self.form(system, plan, instructions ?? .full)
        let domain = try await Self.domain(plan, requiring: sandbox, seconds: limits.seconds)
        do {
            let model = try payer(await place.open(concurrency: 64))
            let agent = try Agent(
                prompting: model, in: domain, as: form, limits: limits, sandbox: sandbox.required)
            return (agent, way)
        } catch {
            await domain.close()
            throw error
        }
    }

    /// Opens a domain. The index of its documents is built once, and rebuilt when they change.
    static func domain(
        _ plan: DomainPlan, requiring sandbox: SandboxOptions, seconds: Double = AgentPlan.Limits().seconds
    ) async throws -> FolderDomain {
        let path = URL(fileURLWithPath: plan.folder).standardizedFileURL.path
        return try await FolderDomain(
            plan, keepingIndexIn: UserCache.domain(path), limits: .init(seconds: seconds),
            requiring: sandbox.required, models: LocalRetrievalModels(), progress: embeddingProgress())
    }

    private func place(_ engine: EngineOptions) async throws -> ModelLocation? {
        if let model {
            return .folder(try await NamedModel.place(model), options: engine.options(prefixTokens: 1 << 15))
        }
        return endpoint.map { url in
            var place = EndpointPlan(url: url)
            (place.model, place.key) = (endpointModel, endpointKey)
            return .endpoint(place)
        }
    }

    private static func form(
        _ system: String?, _ plan: DomainPlan, _ instructions: Instructions
    ) throws -> (AgentForm, AgentWay) {
        let name = system ?? (plan.form == .code ? "agent" : "tool-agent")
        let forms: [(String, AgentForm)] = [
            ("cot+rag", .reasoning(instructions, retrieves: true)), ("cot", .reasoning(instructions, retrieves: false)),
            ("tool-agent", .single(.init(instructions))), ("agent", .code(instructions)),
        ]
        for (word, form) in forms where name == word || name.hasPrefix(word + "+") {
            if let way = AgentWay(ending: name.dropFirst(word.count)) { return (form, way) }
        }
        throw ValidationError(
            "--system of a prompted model is agent, tool-agent, cot or cot+rag, behind which may stand +sag or +depthFirst, "
                + "not '\(name)'")
    }
}
