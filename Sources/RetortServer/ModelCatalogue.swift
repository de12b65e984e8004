import RetortAgents
import RetortCore

/// What a server serves, by the name that requests give.
public struct ModelCatalogue: Sendable {
    /// Something that answers.
    enum Entry: Sendable {
        /// A model, or one of its adapters.
        case model(any LanguageModel, adapter: String?)
        /// A whole agent behind one chat call.
        case agent(ServedAgent)
    }

    private var entries: [String: Entry] = [:]
    /// In the order they were added.
    public private(set) var names: [String] = []

    /// A catalogue without models.
    public init() {}

    /// Adds a model.
    /// - Parameter adapter: which of its adapters answers; nil is the model as it is.
    /// - Throws: `CatalogueError.taken`.
    public mutating func add(_ name: String, _ model: any LanguageModel, adapter: String? = nil) throws {
        try add(name, .model(model, adapter: adapter))
    }

    /// Adds an agent.
    /// - Throws: `CatalogueError.taken`.
    public mutating func add(_ name: String, _ agent: ServedAgent) throws { try add(name, .agent(agent)) }

    private mutating func add(_ name: String, _ entry: Entry) throws {
        guard entries[name] == nil else { throw CatalogueError.taken(name) }
        entries[name] = entry
        names.append(name)
    }

    /// What a name stands for.
    func entry(_ name: String) throws(APIError) -> Entry {
        guard let entry = entries[name] else { throw .noModel(name, known: names) }
        return entry
    }

    /// A model in OpenAI's form.
    func description(of name: String, since seconds: Int) throws(APIError) -> JSONValue {
        let kind: JSONValue
        switch try entry(name) {
        case .model(let model, let adapter):
            kind = ["kind": adapter == nil ? "model" : "adapter", "weights": .string(model.identity)]
        case .agent(let agent): kind = ["kind": "agent", "weights": .string(agent.identity)]
        }
        return [
            "id": .string(name), "object": "model", "created": .integer(seconds), "owned_by": "retort", "retort": kind,
        ]
    }
}

/// Names that cannot be served.
public enum CatalogueError: Error, Equatable, CustomStringConvertible {
    case taken(String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .taken(let name): "two models would be served as '\(name)'; give one of them another name: NAME=FOLDER"
        }
    }
}

/// A whole agent: its model, tools and interpreter, put together for each question.
public struct ServedAgent: Sendable {
    /// Of the model behind it.
    public let identity: String
    /// How a request's settings become a run; temperature 0 and one vote are the plain greedy agent.
    let rollout: @Sendable (_ sampling: Sampling, _ votes: Int) throws -> Rollout
    /// How a question becomes a task.
    let task: @Sendable (_ question: String) -> AgentTask
    /// How many votes a step has unless the request says.
    public let votes: Int

    /// - Parameters:
    ///   - identity: of the model behind it.
    ///   - votes: how many samples of a step vote unless the request says.
    ///   - task: makes a task of a question; nil makes one of the question alone.
    ///   - rollout: puts the agent together for one question; what it refuses is the request's fault.
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

/// What a chat says of how an agent works.
struct AgentSettings {
    /// Nil leaves it to the agent.
    let votes: Int?
    let returnsTrajectory: Bool
}
