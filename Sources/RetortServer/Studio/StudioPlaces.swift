import Foundation

/// The runs, agents and domains that a studio shows.
public struct StudioPlaces: Sendable {
    /// Runs, stores of trajectories, or folders of these.
    public var runs: [URL]
    /// The folder in whose store talks are saved.
    public var talks: URL

    /// The agents that can be talked to, listed anew each time, since a run may make agents while the studio is open.
    public var agents: @Sendable () -> [StudioAgent]
    /// The domains that can be tried out.
    public var domains: [StudioDomain]

    /// By default no runs, agents or domains, and talks saved in `talks` in the working folder.
    public init(
        runs: [URL] = [], talks: URL = URL(fileURLWithPath: "talks"),
        agents: @escaping @Sendable () -> [StudioAgent] = { [] }, domains: [StudioDomain] = []
    ) {
        self.runs = runs
        self.talks = talks
        self.agents = agents
        self.domains = domains
    }
}
