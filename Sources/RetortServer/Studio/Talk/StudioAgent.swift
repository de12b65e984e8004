import RetortDomains
import RetortRecipes

/// An agent that can be talked to; it is opened when it is first chosen.
public struct StudioAgent: Sendable {
    /// The name, unique among the agents of a studio.
    public let name: String
    let open: @Sendable () async throws -> (agent: Agent, way: AgentWay)

    /// - Parameter open: loads the agent and says how it works; called once, unless it throws.
    public init(_ name: String, open: @escaping @Sendable () async throws -> (agent: Agent, way: AgentWay)) {
        self.name = name
        self.open = open
    }
}

/// A domain whose tools, documents and graders can be tried out; it is opened when it is first chosen.
public struct StudioDomain: Sendable {
    /// The name, unique among the domains of a studio.
    public let name: String
    let open: @Sendable () async throws -> FolderDomain

    /// - Parameter open: reads the domain's folder; called once, unless it throws.
    public init(_ name: String, open: @escaping @Sendable () async throws -> FolderDomain) {
        self.name = name
        self.open = open
    }
}
