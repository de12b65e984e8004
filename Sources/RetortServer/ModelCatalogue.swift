import RetortAgents
import RetortCore
import RetortRemote

/// The models and agents that a server offers, by the name that requests use.
public struct ModelCatalogue: Sendable {
    /// Something that can answer requests.
    enum Entry: Sendable {
        /// A model, or one of its adapters.
        case model(any LanguageModel, adapter: String?)
        /// A whole agent behind one chat call.
        case agent(ServedAgent)
        /// Other servers of a model, to which requests are passed on.
        case replicas(Replicas)
    }

    private var entries: [String: Entry] = [:]
    /// The names in the order they were added.
    public private(set) var names: [String] = []

    /// An empty catalogue.
    public init() {}

    /// Adds a model under a name.
    /// - Parameter adapter: the name of the adapter that answers; nil is the model without one.
    /// - Throws: `CatalogueError.taken` when the name is in use.
    public mutating func add(_ name: String, _ model: any LanguageModel, adapter: String? = nil) throws {
        try add(name, .model(model, adapter: adapter))
    }

    /// Adds an agent under a name.
    /// - Throws: `CatalogueError.taken` when the name is in use.
    public mutating func add(_ name: String, _ agent: ServedAgent) throws { try add(name, .agent(agent)) }

    /// Adds other servers of a model, under the name that they have in common.
    /// - Throws: `CatalogueError.taken` when the name is in use.
    public mutating func add(_ replicas: Replicas) throws { try add(replicas.name, .replicas(replicas)) }

    /// All models that other servers answer for, in the order they were added.
    var replicas: [Replicas] {
        names.compactMap { if case .replicas(let replicas) = entries[$0] { replicas } else { nil } }
    }

    private mutating func add(_ name: String, _ entry: Entry) throws {
        guard entries[name] == nil else { throw CatalogueError.taken(name) }
        entries[name] = entry
        names.append(name)
    }

    /// The model or agent behind a name.
    func entry(_ name: String) throws(APIError) -> Entry {
        guard let entry = entries[name] else { throw .noModel(name, known: names) }
        return entry
    }

    /// A model as `/v1/models` lists it, in OpenAI's form.
    func description(of name: String, since seconds: Int) throws(APIError) -> JSONValue {
        let kind: JSONValue
        switch try entry(name) {
        case .model(let model, let adapter):
            kind = ["kind": adapter == nil ? "model" : "adapter", "weights": .string(model.identity)]
        case .agent(let agent): kind = ["kind": "agent", "weights": .string(agent.identity)]
        case .replicas(let replicas):
            kind = ["kind": "replicas", "replicas": .integer(replicas.standings.count)]
        }
        return [
            "id": .string(name), "object": "model", "created": .integer(seconds), "owned_by": "retort", "retort": kind,
        ]
    }
}

/// A name that cannot be served.
public enum CatalogueError: Error, Equatable, CustomStringConvertible {
    /// The name is in use already.
    case taken(String)

    /// The fault and its remedy, for people.
    public var description: String {
        switch self {
        case .taken(let name): "two models would be served as '\(name)'; give one of them another name: NAME=FOLDER"
        }
    }
}

/// An agent that is served: its model, tools and interpreter are put together for each question.
public struct ServedAgent: Sendable {
    /// The identity of the model behind the agent.
    public let identity: String
    /// Turns a request's settings into a rollout; temperature 0 with one vote is the plain greedy agent.
    let rollout: @Sendable (_ sampling: Sampling, _ votes: Int) throws -> Rollout
    /// Turns a question into a task.
    let task: @Sendable (_ question: String) -> AgentTask
    /// How many samples vote on each step unless the request says otherwise.
    public let votes: Int

    /// - Parameters:
    ///   - identity: the identity of the model behind the agent.
    ///   - votes: how many samples vote on each step unless the request says otherwise.
    ///   - task: turns a question into a task; nil makes a task that holds only the question.
    ///   - rollout: puts the agent together for one question; an error that it throws is reported as the request's
    ///     fault.
    public init(
        identity: String, votes: Int = 1, task: (@Sendable (_ question: String) -> AgentTask)? = nil,
        rollout: @escaping @Sendable (_ sampling: Sampling, _ votes: Int) throws -> Rollout
    ) {
        self.identity = identity
        self.votes = votes
        self.rollout = rollout
        self.task =
            task ?? { question in
                AgentTask(
                    id: String(StableHash.of(question), radix: 16), question: question, answers: [], family: .factual)
            }
    }
}

/// What a chat request says about how an agent is to work.
struct AgentSettings {
    /// How many samples vote on each step; nil leaves that to the agent.
    let votes: Int?
    let returnsTrajectory: Bool
}
