import Foundation

/// What a studio shows.
public struct StudioPlaces: Sendable {
    /// Runs, stores of trajectories, or folders of such.
    public var runs: [URL]
    /// The folder whose store talks are saved in.
    public var talks: URL

    /// The agents that can be talked with, looked for anew each time: a run may make some while the studio is open.
    public var agents: @Sendable () -> [StudioAgent]
    /// The domains that can be tried.
    public var domains: [StudioDomain]

    /// What the studio shows.
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
