import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation

/// How an agent works, independent of its models: what it is shown, which tools it is told of, how long it may work,
/// how it searches.
///
/// Evaluation, an agent's folder and a prompted model all make their runs from it, so the agent that is measured is the
/// one that is handed on.
public struct AgentPlan: Codable, Sendable, Hashable {
    /// The limits of its work.
    public struct Limits: Codable, Sendable, Hashable {
        /// The most steps before it is asked for its answer. Not used for a chain of thought, which has a limit of its
        /// own.
        public var steps: Int
        /// The most tokens of a turn.
        public var tokens: Int
        /// The most seconds of a program.
        public var seconds: Double

        /// - Parameter seconds: the limit of each program.
        public init(steps: Int = 8, tokens: Int = 1024, seconds: Double = 10) {
            (self.steps, self.tokens, self.seconds) = (steps, tokens, seconds)
        }
    }

    /// The agent's name in trajectories.
    public var name: String
    /// What it is shown, and how it acts.
    public var view: AgentForm
    /// What it is told about its job before anything else; nil for nothing.
    public var guidance: String?
    /// The tools it is told of, except those that come with a task.
    public var tools: [ToolSpecification]
    /// How long it may work.
    public var limits: Limits
    /// How it explores.
    public var search: AgentSearch
    /// The seed of everything that is sampled.
    public var seed: UInt64

    /// Whether it uses anything of the domain.
    var usesDomain: Bool { if case .reasoning(_, retrieves: false) = view { false } else { true } }

    /// Identifies the fixed text of its prompts: it changes with any word of them.
    var promptIdentity: String {
        get throws {
            let nobody = view.roles.map { ($0, RoleModel(Nobody())) }
            return try policy(Dictionary(uniqueKeysWithValues: nobody)).promptIdentity ?? ""
        }
    }

    /// The policy that decides.
    /// - Parameter retriever: fetches passages, for a chain of thought that reads them.
    /// - Throws: `AgentError.noPlayer`.
    func policy(_ players: [AgentRole: RoleModel], retriever: (any Tool)? = nil) throws -> any Policy {
        func player(_ role: AgentRole) throws -> RoleModel {
            guard let player = players[role] else { throw AgentError.noPlayer(agent: name, role: role.rawValue) }
            return player
        }
        let documents = tools.map { ToolDocument($0) }
        switch view {
        case .code(let instructions):
            return CodeAgent(
                name: name, model: try player(.backbone).speaker,
                view: CodeAgentView(instructions: instructions, tools: tools, guidance: guidance),
                maximumTokens: limits.tokens)
        case .reasoning(let instructions, let retrieves):
            return ChainOfThought(
                model: try player(.backbone).speaker,
                view: ChainOfThoughtView(instructions: instructions, guidance: guidance),
                retriever: retrieves ? retriever : nil, maximumTokens: limits.tokens)
        case .single(let form):
            return ToolAgent(
                name: name, model: try player(.backbone), instructions: form.instructions, callForm: form.calls,
                observationLimit: form.observationCharacters, tools: documents, guidance: guidance,
                constraint: form.outputs, maximumTokens: limits.tokens)
        case .team(let form):
            return RolePolicy(
                name: name, planner: try player(.planner), caller: try player(.caller),
                summarizer: try player(.summarizer), instructions: form.instructions, callForm: form.calls,
                observationLimit: form.observationCharacters, tools: documents, guidance: guidance,
                constraint: form.outputs, maximumTokens: limits.tokens)
        }
    }

    /// The agent's rollout.
    /// - Parameters:
    ///   - players: the models of its roles.
    ///   - host: the tools that the host answers.
    ///   - retriever: fetches passages for a chain of thought.
    ///   - way: deviations from the plan's way of exploring.
    ///   - session: makes a session for a task.
    /// - Throws: `AgentError` for a way that the agent does not support.
    func rollout(
        _ players: [AgentRole: RoleModel], host: [any Tool], retriever: (any Tool)?, way: AgentWay = AgentWay(),
        session: @escaping @Sendable (AgentTask) async throws -> any Environment
    ) throws -> Rollout {
        let parts = try parts(players, retriever: retriever, way: way)
        if parts.reasons {
            return Rollout(
                policy: parts.policy, search: parts.search, maximumSteps: parts.maximumSteps, seed: parts.seed
            ) { ToolEnvironment(host) }
        }
        return Rollout(
            policy: parts.policy, search: parts.search, maximumSteps: parts.maximumSteps, seed: parts.seed,
            environmentFor: session)
    }

    /// The parts that its work consists of.
    struct Parts: Sendable {
        let policy: any Policy
        let search: any Search
        let maximumSteps: Int
        let seed: UInt64
        /// Whether it answers in one go, and so needs no session.
        let reasons: Bool
    }

    /// The policy and the search.
    /// - Throws: `AgentError` for a way that the agent does not support.
    func parts(_ players: [AgentRole: RoleModel], retriever: (any Tool)?, way: AgentWay) throws -> Parts {
        let plan = try taking(way)
        let policy = try plan.policy(players, retriever: retriever)
        let isDrawn = way.sampling.map { $0.temperature > 0 } ?? false
        let reasoner = policy as? ChainOfThought
        return Parts(
            policy: policy, search: plan.search.search(way), maximumSteps: reasoner?.maximumSteps ?? limits.steps,
            seed: isDrawn ? way.sampling?.seed ?? seed : seed, reasons: reasoner != nil)
    }

    /// The plan with the outputs that a way of running it asks for.
    private func taking(_ way: AgentWay) throws -> AgentPlan {
        if way.kind(of: search) == .depthFirst, case .reasoning = view {
            throw AgentError.noMeaning(
                agent: name, "a depth-first search: it answers in one go, and has no step to go back on")
        }
        if way.kind(of: search) == .depthFirst, let votes = way.votes, votes > 1 {
            throw AgentError.noMeaning(agent: name, "votes in a depth-first search: it goes one way at a time")
        }
        guard let outputs = way.outputs else { return self }
        var plan = self
        switch view {
        case .single(var form):
            form.outputs = outputs
            plan.view = .single(form)
        case .team(var form):
            form.outputs = outputs
            plan.view = .team(form)
        case .code, .reasoning:
            throw AgentError.noMeaning(
                agent: name, "a grammar: only calls with JSON arguments and roles are held to one")
        }
        return plan
    }
}

extension RoleModel {
    /// The model with its adapter, under the model's own name.
    var speaker: any LanguageModel {
        adapter.map { AdaptedModel(model, adapter: $0, identity: model.identity) } ?? model
    }
}

/// A placeholder where only prompts are needed.
private struct Nobody: LanguageModel {
    let identity = ""

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { $0.finish() }
    }
}
