import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortPython
import RetortRecipes
import RetortRetrieval
import RetortServer

/// Folders on their way to being served: what the command line names, opened and put into a catalogue.
struct ServedFolders {
    /// `NAME=FOLDER`, or a folder or GGUF file that is called as it is.
    struct Named {
        let name: String?
        let folder: URL

        init(_ text: String) {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            let isNamed = parts.count == 2 && !parts[0].contains("/")
            name = isNamed ? parts[0] : nil
            folder = URL(fileURLWithPath: isNamed ? parts[1] : text)
        }
    }

    private(set) var catalogue = ModelCatalogue()
    /// Something that what is served last may know.
    private(set) var sampleQuestion = "What is 17 * 23?"
    private let options: LocalModel.Options
    private let sandbox: SandboxLevel
    /// Models by the names they are served under, for agents over them.
    private var models: [String: any LanguageModel] = [:]
    /// The checkpoints among them, each once, in the order they were opened.
    private(set) var checkpoints: [(name: String, model: LocalModel)] = []
    private var agents: [String: ServedAgent] = [:]

    init(_ options: LocalModel.Options, requiring sandbox: SandboxLevel) {
        self.options = options
        self.sandbox = sandbox
    }

    /// Adds a checkpoint, an adapter with its base, or all that a run made.
    /// - Parameter adapters: served beside a checkpoint's own weights.
    mutating func add(_ place: Named, adapters: [String: URL] = [:]) async throws {
        let has = { FileManager.default.fileExists(atPath: place.folder.appendingPathComponent($0).path) }
        let isCheckpoint = has("config.json") || has("adapter_config.json")
        if !isCheckpoint, has("manifest.json") { return try await add(run: place.folder) }
        let model = try load(place.folder, adapters: adapters)
        let name = place.name ?? CheckpointSource.name(of: place.folder)
        try add(name, model)
        for adapter in adapters.keys.sorted() { try add(adapter, model, adapter: adapter) }
    }

    /// Serves an agent over a model of the catalogue as `NAME:agent`, with a search when there are passages.
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

    /// Gives the last agent without votes the name `agent` as well, for those who do not care which.
    mutating func nameTheAgent() throws {
        guard agents["agent"] == nil, let last = catalogue.names.last(where: { agents[$0]?.votes == 1 }),
            let agent = agents[last], !catalogue.names.contains("agent")
        else { return }
        try add("agent", agent)
    }

    /// The checkpoints of a run, those that are adapters over one set of weights, and its agents.
    private mutating func add(run url: URL) async throws {
        let run = try await DistilledRun(url, requiring: sandbox)
        guard !run.checkpoints.isEmpty else { throw RunError.noAgent(url.path) }
        sampleQuestion = run.sampleTask.question
        for student in run.recipe.students {
            let own = run.checkpoints.filter { $0.student == student.name }
            let adapters = own.filter(\.isAdapter)
            let named = Dictionary(
                adapters.map { ("\(student.name)-\($0.style.rawValue)", $0.folder) }, uniquingKeysWith: { $1 })
            let base = URL(fileURLWithPath: student.base)
            // A base that has moved is only missed when adapters need it.
            if !named.isEmpty || CheckpointSource.holdsModel(base) {
                try await add(Named("\(student.name)=\(base.path)"), adapters: named)
            }
            for checkpoint in own where !checkpoint.isAdapter {
                let name = "\(student.name)-\(checkpoint.style.rawValue)"
                try add(name, try load(checkpoint.folder, identity: name))
            }
            let votes = run.recipe.evaluation.vote.samples
            for style in Recipe.Style.allCases where style.isAgent {
                guard let model = models["\(student.name)-\(style.rawValue)"] else { continue }
                let name = "\(student.name):\(style.rawValue)"
                try add(
                    name,
                    ServedAgent(identity: model.identity) { run.agent(model, style: style, sampling: $0, votes: $1) })
                try add(
                    "\(name)+sag",
                    ServedAgent(identity: model.identity, votes: votes) {
                        run.agent(model, style: style, sampling: $0, votes: $1)
                    })
            }
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

/// What cannot be served.
enum ServeError: Error, CustomStringConvertible {
    case noModel(String, known: [String])

    var description: String {
        switch self {
        case .noModel(let name, let known):
            "--agent \(name): no such model is served; the models are \(known.joined(separator: ", "))"
        }
    }
}
