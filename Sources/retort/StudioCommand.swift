import ArgumentParser
import Foundation
import Logging
import RetortCore
import RetortDomains
import RetortRecipes
import RetortServer
import ServiceLifecycle

/// `retort studio`
struct StudioCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "studio", abstract: "Look at runs, trajectories and agents in a browser.",
        discussion: """
            A place is a run, a store of trajectories, or a folder of such ('runs' unless given); an agent's folder, to talk to; or a \
            domain, to try its tools, documents and graders, and with --model or --endpoint to talk to a model in it. Open the address \
            that is printed: it holds a token that lets you in. Runs are only read, also while they go on; labels are all that is written.

              retort studio
              retort studio runs/hotel runs/baseline --port 9000
              retort studio runs examples/wiki-search
              retort studio hotel --model models/Qwen2.5-0.5B-Instruct

            Keys in a list or a trajectory: / searches, j and k go down and up, n and p to the next trajectory and the one before, \
            g and b label it good or bad, ? shows all.
            """)

    @Argument(help: "Runs, stores or folders of them, agents, domains.") var places: [String] = []
    @Option(help: "The interface; other than loopback lets other machines in, who then need the token.") var host =
        "127.0.0.1"
    @Option(help: "The port; 0 takes any free one.") var port = 8800
    @Option(help: "The folder that talks are saved in.") var talks = "talks"
    @OptionGroup var agent: AgentOptions
    @OptionGroup(title: "A model in a domain") var prompted: PromptedOptions

    func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port must be 0 to 65535") }
        for place in places where !FileManager.default.fileExists(atPath: place) {
            throw ValidationError("\(place) does not exist; name a run's folder, or a folder of runs")
        }
    }

    func run() async throws {
        let urls = (places.isEmpty ? ["runs"] : places).map { URL(fileURLWithPath: $0) }
        let domains = urls.filter(AgentOptions.isDomain)
        let others = urls.filter { !AgentOptions.isDomain($0) }
        var options = StudioOptions()
        (options.host, options.port) = (host, port)
        let studio = StudioServer(
            StudioPlaces(
                runs: others, talks: URL(fileURLWithPath: talks), agents: { agents(of: others, domains) },
                domains: domains.map(tried)), options: options,
            logger: Logger(label: "retort.studio", factory: { StreamLogHandler.standardError(label: $0) })
        ) { greet($0) }
        let group = ServiceGroup(
            services: [studio], logger: Logger(label: "retort", factory: { _ in SwiftLogNoOpLogHandler() }))
        InterruptHandler.shared.allow(seconds: Self.lastSeconds)
        let work = Task { try await group.run() }
        try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }

    /// The agents that runs have made by now, those of agents' folders, and models prompted in domains.
    private func agents(of places: [URL], _ domains: [URL]) -> [StudioAgent] {
        let folders = places.flatMap { place -> [URL] in
            guard !AgentPlaces.isPlace(place) else { return [place] }
            let names = (try? FileManager.default.contentsOfDirectory(atPath: place.path)) ?? []
            return names.filter { !$0.hasPrefix(".") }.sorted().map(place.appendingPathComponent).filter(
                AgentPlaces.isPlace)
        }
        let opening = agent.opening()
        var agents = folders.flatMap { folder in
            ((try? AgentPlaces(folder))?.found ?? []).reversed().map { found in
                StudioAgent("\(folder.lastPathComponent): \(found.title)") {
                    (try await Agent(contentsOf: found.folder, options: opening), AgentWay())
                }
            }
        }
        guard prompted.model != nil || prompted.endpoint != nil else { return agents }
        agents += domains.map { url in
            StudioAgent(
                "\(url.lastPathComponent): \(prompted.model ?? prompted.endpointModel ?? "the endpoint's model")"
            ) {
                try await prompted.agent(in: url, as: agent.system, requiring: agent.sandbox, engine: agent.engine)
            }
        }
        return agents
    }

    private func tried(_ url: URL) -> StudioDomain {
        StudioDomain(url.deletingPathExtension().lastPathComponent) {
            try await PromptedOptions.domain(DomainPlan(url), requiring: agent.sandbox)
        }
    }

    /// The time for connections that are open when the studio is told to stop, in seconds.
    private static let lastSeconds = 5.0

    private func greet(_ address: String) {
        FileHandle.standardOutput.write(Data("The studio is open at\n\n  \(address)\n\n".utf8))
        if !["127.0.0.1", "::1", "localhost"].contains(host) {
            FileHandle.standardError.write(
                Data("warning: \(host) can be reached from other machines, and what is sent is not encrypted\n".utf8))
        }
    }
}
