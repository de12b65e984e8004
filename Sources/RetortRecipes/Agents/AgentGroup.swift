import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortLLM
import RetortPython

/// Agents that were opened together: adapters of the same base share its weights, and equal tools and documents are
/// opened once.
public struct AgentGroup: Sendable {
    /// Loaded weights, served under a name of their own.
    public struct Model: Sendable {
        /// The student's name, with the system and, in a team, the role: `3m-agent`, `3m-umi-planner`. A base has the
        /// student's name alone.
        public let name: String
        /// The weights.
        public let model: LocalModel
        /// The adapter over them; nil is the model itself.
        public let adapter: String?
    }

    /// The agents, in the order of their folders.
    public let agents: [Agent]
    /// All weights with the names that they are served under.
    public let models: [Model]

    /// Opens folders of agents; their names must differ.
    /// - Throws: the errors of `Agent(contentsOf:)`, and `AgentError.twice`.
    public init(contentsOf urls: [URL], options: Agent.Options = .init()) async throws {
        let folders = try urls.map(AgentFolder.init)
        for (title, own) in Dictionary(grouping: folders, by: \.file.title) where own.count > 1 {
            throw AgentError.twice(title, own.map(\.url.path))
        }
        for folder in folders {
            let processes = folder.file.domain.processes
            if options.processes == .refused, !processes.isEmpty {
                throw AgentError.startsProcesses(agent: folder.url.path, processes)
            }
            try folder.verify(options.digests)
        }
        let loaded = try LoadedPlayers(folders, options)
        models = loaded.models
        var benches: [String: AgentBench] = [:]
        var agents: [Agent] = []
        do {
            for (folder, players) in zip(folders, loaded.players) {
                let key = try folder.domainKey
                if benches[key] == nil { benches[key] = try await folder.bench(options.sandbox) }
                guard let bench = benches[key] else { continue }
                try folder.checkTools(bench.domain)
                agents.append(folder.agent(players, bench))
            }
        } catch {
            for bench in benches.values { await bench.close() }
            throw error
        }
        self.agents = agents
    }

    /// Closes what the agents hold open.
    public func close() async { for agent in agents { await agent.close() } }
}

extension AgentFolder {
    /// Agents with equal keys can share a domain: the same declarations over the same files, and the same limits.
    fileprivate var domainKey: String {
        get throws {
            ContentDigest.of([
                ExactJSON.text(try ExactJSON.tree(file.domain)), content(under: AgentDomain.folder),
                "\(file.agent.limits.seconds)",
            ])
        }
    }

    fileprivate func bench(_ sandbox: SandboxLevel) async throws -> AgentBench {
        let limits = PythonLimits(seconds: file.agent.limits.seconds)
        return AgentBench(
            try await file.domain.open(in: url, limits: limits, requiring: sandbox), limits: limits,
            requiring: sandbox)
    }

    /// Checks that the tools are those that the agent learned to use.
    fileprivate func checkTools(_ domain: any Domain) throws {
        let here = Dictionary(domain.tools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let drifted = file.agent.tools.filter { here[$0.name] != $0 }.map(\.name)
        guard drifted.isEmpty else {
            throw AgentError.otherTools(file: place(AgentFile.name).path, drifted)
        }
    }

    fileprivate func agent(_ players: [AgentRole: RoleModel], _ bench: AgentBench) -> Agent {
        Agent(
            student: file.student, system: file.system, plan: file.agent, sampleTask: file.sample,
            family: file.domain.family, players: players, bench: bench)
    }
}

/// The weights of several agents' roles.
private struct LoadedPlayers {
    /// The roles' models, for each folder.
    private(set) var players: [[AgentRole: RoleModel]] = []
    private(set) var models: [AgentGroup.Model] = []

    init(_ folders: [AgentFolder], _ options: Agent.Options) throws {
        for folder in folders where try folder.file.agent.promptIdentity != folder.file.prompt {
            throw AgentError.otherPrompt(
                file: folder.place(AgentFile.name).path, madeBy: folder.file.madeBy, here: Retort.version)
        }
        var engine = options.engine
        engine.weights = engine.weights ?? folders.compactMap(\.file.precision).first
        var all = AgentPlayers()
        var identities: [String: String] = [:]
        let sources = try folders.map { try Self.sources($0, options) }
        for (folder, sources) in zip(folders, sources) {
            for source in sources.values {
                all.add(source)
                identities[source.key] = folder.file.student
            }
        }
        try all.load(identity: { identities[$0] ?? "" }, options: engine)
        var named: Set<String> = []
        for (folder, sources) in zip(folders, sources) {
            players.append(sources.compactMapValues { all.player($0) })
            for (role, source) in sources.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                guard let model = all.model(source.key) else { continue }
                if source.adapter != nil, source.key.hasPrefix(Self.base), named.insert(source.key).inserted {
                    models.append(.init(name: folder.file.student, model: model, adapter: nil))
                }
                models.append(
                    .init(name: folder.file.name(of: role), model: model, adapter: source.adapter?.name))
            }
        }
    }

    private static let base = "base "

    private static func sources(
        _ folder: AgentFolder, _ options: Agent.Options
    ) throws -> [AgentRole: AgentPlayers.Source] {
        let file = folder.file
        let base =
            file.needsBase
            ? try file.base.found(given: options.base, beside: folder.url, title: file.title, options.digests) : nil
        var sources: [AgentRole: AgentPlayers.Source] = [:]
        for (name, player) in file.players {
            guard let role = AgentRole(rawValue: name) else { continue }
            let adapter = player.adapter.map {
                AgentPlayers.Source.Adapter(name: file.name(of: role), folder: folder.place($0))
            }
            if let weights = player.weights {
                sources[role] = .init(
                    key: "own \(file.student) \(folder.content(under: weights))", weights: folder.place(weights),
                    adapter: adapter)
            } else if let base {
                sources[role] = .init(
                    key: "\(Self.base)\(file.student) \(file.base.digest)", weights: base, adapter: adapter)
            }
        }
        return sources
    }
}

extension AgentFile {
    /// The name of a role's weights.
    fileprivate func name(of role: AgentRole) -> String {
        "\(student)-\(system)" + (role == .backbone ? "" : "-\(role.rawValue)")
    }
}
