import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortPython
import RetortRecipes
import RetortRemote
import RetortRetrieval
import RetortServer

/// The folders named on the command line, opened and added to a catalogue.
struct ServedFolders {
    /// `NAME=FOLDER`, or a folder or GGUF file that is served under its own name.
    struct Named {
        let name: String?
        let folder: URL

        init(_ text: String) {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            let isNamed = parts.count == 2 && !parts[0].contains("/")
            name = isNamed ? parts[0] : nil
            folder = URL(fileURLWithPath: isNamed ? parts[1] : text)
        }

        private init(name: String?, folder: URL) { (self.name, self.folder) = (name, folder) }

        /// Parses the text; if it names a model instead of an existing place, fetches the model.
        static func located(_ text: String) async throws -> Self {
            let named = Self(text)
            guard !FileManager.default.fileExists(atPath: named.folder.path) else { return named }
            let model = named.name == nil ? text : String(text.drop { $0 != "=" }.dropFirst())
            return Self(name: named.name ?? NamedModel.title(model), folder: try await NamedModel.place(model))
        }
    }

    private(set) var catalogue = ModelCatalogue()
    /// A question that the last served agent should be able to answer.
    private(set) var sampleQuestion = "What is 17 * 23?"
    private let options: LocalModel.Options
    private let agentOptions: AgentOptions
    private let sandbox: SandboxLevel
    /// Models by the names they are served under, for agents that use them.
    private var models: [String: any LanguageModel] = [:]
    /// The distinct checkpoints among them, in the order they were opened.
    private(set) var checkpoints: [(name: String, model: LocalModel)] = []
    private var agents: [String: ServedAgent] = [:]

    init(_ options: LocalModel.Options, _ agents: AgentOptions) {
        self.options = options
        agentOptions = agents
        sandbox = agents.sandbox.required
    }

    /// Adds a checkpoint, an adapter with its base, or agents.
    /// - Parameter adapters: adapters that are served in addition to a checkpoint's own weights.
    mutating func add(_ place: Named, adapters: [String: URL] = [:]) async throws {
        let has = { FileManager.default.fileExists(atPath: place.folder.appendingPathComponent($0).path) }
        let isCheckpoint = has("config.json") || has("adapter_config.json")
        if !isCheckpoint, AgentPlaces.isPlace(place.folder) { return try await add(agentsIn: place) }
        let model = try load(place.folder, adapters: adapters)
        let name = place.name ?? CheckpointSource.name(of: place.folder)
        try add(name, model)
        for adapter in adapters.keys.sorted() { try add(adapter, model, adapter: adapter) }
    }

    /// Adds a model that other servers answer for.
    mutating func add(_ replicas: Replicas) throws { try catalogue.add(replicas) }

    /// Serves an agent that uses a model of the catalogue as `NAME:agent`, with a search if there are passages.
    mutating func addAgent(over name: String, passages: URL?, instructions: Instructions) async throws {
        guard let model = models[name] else { throw ServeError.noModel(name, known: models.keys.sorted()) }
        let tools: [any Tool] = try passages.map { [WebSearchTool(try PassageIndex($0))] } ?? []
        let python = try await PythonInterpreter(requiring: sandbox)
        let view = CodeAgentView(instructions: instructions, tools: tools.map(\.specification))
        let agent = ServedAgent(identity: model.identity) { sampling, votes in
            let search: any Search =
                votes == 1
                ? GreedySearch(sampling: sampling)
                : sampling.temperature == 0
                    ? SelfConsistentSearch(samples: votes) : SelfConsistentSearch(samples: votes, sampling: sampling)
            return Rollout(policy: CodeAgent(model: model, view: view), search: search, seed: sampling.seed) {
                try await python.session(tools: tools)
            }
        }
        try add("\(name):agent", agent)
    }

    /// Also gives the last agent without votes the name `agent`, for clients that do not care which one they get.
    mutating func nameTheAgent() throws {
        guard agents["agent"] == nil, let last = catalogue.names.last(where: { agents[$0]?.votes == 1 }),
            let agent = agents[last], !catalogue.names.contains("agent")
        else { return }
        try add("agent", agent)
    }

    /// Adds the agents of a place, and the weights behind them as models.
    private mutating func add(agentsIn place: Named) async throws {
        let chosen = try agentOptions.chosen(in: AgentPlaces(place.folder))
        var opening = agentOptions.opening()
        opening.engine = options
        let group = try await AgentGroup(contentsOf: chosen.map(\.folder), options: opening)
        for model in group.models { try add(model.name, model.model, adapter: model.adapter) }
        for agent in group.agents {
            let title = "\(place.name ?? agent.student):\(agent.system)"
            sampleQuestion = agent.sampleTask?.question ?? sampleQuestion
            if case .team = agent.plan.view {
                try add("\(title)+depthFirst", Self.served(agent, AgentWay(search: .depthFirst)))
            }
            let voted = if case .reasoning = agent.plan.view { "sc" } else { "sag" }
            try add("\(title)+\(voted)", Self.served(agent, AgentWay(search: .vote)))
            try add(title, Self.served(agent, AgentWay()))
        }
    }

    /// An agent for requests that may set temperature and votes.
    private static func served(_ agent: Agent, _ way: AgentWay) -> ServedAgent {
        ServedAgent(
            identity: agent.modelIdentity, votes: way.search == .vote ? agent.plan.search.vote.samples : 1,
            task: agent.task
        ) { sampling, votes in
            var own = way
            if way.search != .depthFirst || votes > 1 { own.votes = votes }
            if sampling != .greedy { own.sampling = sampling }
            return try agent.rollout(own)
        }
    }

    private func load(_ folder: URL, identity: String? = nil, adapters: [String: URL] = [:]) throws -> LocalModel {
        var options = options
        options.adapters = adapters
        let model = try LocalModel(folder: folder, identity: identity, options: options)
        for note in model.samplingNotes { FileHandle.standardError.write(Data("note: \(note)\n".utf8)) }
        return model
    }

    private mutating func add(_ name: String, _ model: LocalModel, adapter: String? = nil) throws {
        try catalogue.add(name, model, adapter: adapter)
        if !checkpoints.contains(where: { $0.model === model }) { checkpoints.append((name, model)) }
        models[name] = adapter.map { AdaptedModel(model, adapter: $0) } ?? model
    }

    private mutating func add(_ name: String, _ agent: ServedAgent) throws {
        try catalogue.add(name, agent)
        agents[name] = agent
    }
}

/// Why something cannot be served.
enum ServeError: Error, CustomStringConvertible {
    case noModel(String, known: [String])

    var description: String {
        switch self {
        case .noModel(let name, let known):
            "--agent \(name): no such model is served; the models are \(known.joined(separator: ", "))"
        }
    }
}
