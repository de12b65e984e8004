import ArgumentParser
import Foundation
import RetortRecipes

/// Selects agents of a place, and sets how they are opened.
struct AgentOptions: ParsableArguments {
    @Option(help: "The student whose agents are meant, where a place has several.") var student: String?

    @Option(
        help: ArgumentHelp(
            "The agent, such as agent, cot or umi, and how it is run: agent+sag, umi+depthFirst.", valueName: "name"))
    var system: String?

    @Option(
        help: ArgumentHelp(
            "The base of agents that are adapters, if it has moved.", valueName: "folder"))
    var base: String?

    @Flag(
        name: .customLong("allow-host"),
        help: "Open agents whose tools are processes with your rights; only where you trust their maker.")
    var allowsHost = false

    @OptionGroup var engine: EngineOptions
    @OptionGroup var sandbox: SandboxOptions

    /// All agents of a place, or those that the options select.
    func chosen(in places: AgentPlaces) throws -> [AgentPlaces.Found] {
        guard student != nil || system != nil else { return places.found }
        let chosen = try places.chosen(student: student, system: system)
        guard chosen.allSatisfy({ $0.way == AgentWay() }) else {
            throw ValidationError(
                "--system \(system ?? ""): every way that an agent has is served anyhow; name the agent alone")
        }
        return chosen.map(\.agent)
    }

    /// Opens the selected agent: of an agent's folder or a run, or, in a domain, a prompted model.
    func open(_ url: URL, _ prompted: PromptedOptions) async throws -> (Agent, AgentWay) {
        if Self.isDomain(url) {
            return try await prompted.agent(in: url, as: system, requiring: sandbox, engine: engine)
        }
        guard prompted.isEmpty else {
            throw ValidationError("--model, --endpoint and what belongs to them are for a domain; \(url.path) is none")
        }
        let (found, way) = try AgentPlaces(url).one(student: student, system: system)
        return (try await Agent(contentsOf: found.folder, options: opening()), way)
    }

    /// Whether a place is a domain, and not a run's or an agent's folder.
    static func isDomain(_ url: URL) -> Bool {
        let isNamed =
            url.pathExtension == "yaml"
            || FileManager.default.fileExists(atPath: url.appendingPathComponent("domain.yaml").path)
        return isNamed && !AgentPlaces.isPlace(url)
    }

    /// The options with which agents are opened.
    func opening(maximumSamples: Int = 64, prefixTokens: Int = 1 << 15) -> Agent.Options {
        Agent.Options(
            engine: engine.options(maximumSamples: maximumSamples, prefixTokens: prefixTokens),
            sandbox: sandbox.required, base: base.map { URL(fileURLWithPath: $0) },
            processes: allowsHost ? .allowed : .refused)
    }
}
