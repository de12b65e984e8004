import RetortDomains
import RetortRecipes

/// An agent that can be talked with, opened when it is first chosen.
public struct StudioAgent: Sendable {
    /// What it is called; unique among those of a studio.
    public let name: String
    let open: @Sendable () async throws -> (agent: Agent, way: AgentWay)

    /// - Parameter open: opens the agent when it is first talked to.
    public init(_ name: String, open: @escaping @Sendable () async throws -> (agent: Agent, way: AgentWay)) {
        self.name = name
        self.open = open
    }
}

/// A domain whose tools, documents and graders can be tried, opened when it is first chosen.
public struct StudioDomain: Sendable {
    /// What it is called; unique among those of a studio.
    public let name: String
    let open: @Sendable () async throws -> FolderDomain

    /// - Parameter open: opens the domain when it is first tried.
    public init(_ name: String, open: @escaping @Sendable () async throws -> FolderDomain) {
        self.name = name
        self.open = open
    }
}
