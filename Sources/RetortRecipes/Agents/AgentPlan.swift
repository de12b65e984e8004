import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation

/// How an agent works, whoever plays it: what it is shown, which tools it is told of, how long it may work, how it searches.
///
/// Evaluation, an agent's folder and a prompted model all make their runs from it, so what is measured is what is handed on.
public struct AgentPlan: Codable, Sendable, Hashable {
    /// How much it may do.
    public struct Limits: Codable, Sendable, Hashable {
        /// After which it is asked for its answer. Of a chain of thought it is not the number of its steps.
        public var steps: Int
        /// Of each turn.
        public var tokens: Int
        /// Of each program.
        public var seconds: Double

        /// - Parameter seconds: of each program.
        public init(steps: Int = 8, tokens: Int = 1024, seconds: Double = 10) {
            (self.steps, self.tokens, self.seconds) = (steps, tokens, seconds)
        }
    }

    /// What it is called in trajectories.
    public var name: String
    /// What it is shown, and how it acts.
    public var view: AgentForm
    /// What it is told about its job, before anything else; nil for nothing.
    public var guidance: String?
    /// The tools it is told of, but for those that come with a task.
    public var tools: [ToolSpecification]
    public var limits: Limits
    /// How it explores.
    public var search: AgentSearch
    /// Seeds what is drawn.
    public var seed: UInt64

    /// Whether it works with anything of the domain's.
    var usesDomain: Bool { if case .reasoning(_, retrieves: false) = view { false } else { true } }

    /// Identifies the fixed text of its prompts: another as soon as a word of them changes.
    var promptIdentity: String {
        get throws {
            let nobody = view.roles.map { ($0, RoleModel(Nobody())) }
            return try policy(Dictionary(uniqueKeysWithValues: nobody)).promptIdentity ?? ""
        }
    }

    /// Who decides.
    /// - Parameter retriever: what fetches passages, for a chain of thought that reads some.
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

    /// The agent at work.
    /// - Parameters:
    ///   - players: who speaks for each of its roles.
    ///   - host: the tools that the host answers.
    ///   - retriever: what fetches passages for a chain of thought.
    ///   - way: how it explores, where that is otherwise than the plan says.
    ///   - session: makes a session for a task.
    /// - Throws: `AgentError` for a way that has no meaning for it.
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

    /// What its work is made of.
    struct Parts: Sendable {
        let policy: any Policy
        let search: any Search
        let maximumSteps: Int
        let seed: UInt64
        /// Whether it answers in one go, and so needs no session.
        let reasons: Bool
    }

    /// Who decides, and how it explores.
    /// - Throws: `AgentError` for a way that has no meaning for it.
    func parts(_ players: [AgentRole: RoleModel], retriever: (any Tool)?, way: AgentWay) throws -> Parts {
        let plan = try taking(way)
        let policy = try plan.policy(players, retriever: retriever)
        let isDrawn = way.sampling.map { $0.temperature > 0 } ?? false
        let reasoner = policy as? ChainOfThought
        return Parts(
            policy: policy, search: plan.search.search(way), maximumSteps: reasoner?.maximumSteps ?? limits.steps,
            seed: isDrawn ? way.sampling?.seed ?? seed : seed, reasons: reasoner != nil)
    }

    /// The plan with outputs as a way of running it has them.
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
    /// The model with its adapter, by the model's own name.
    var speaker: any LanguageModel {
        adapter.map { AdaptedModel(model, adapter: $0, identity: model.identity) } ?? model
    }
}

/// Stands for a model where only prompts are asked for.
private struct Nobody: LanguageModel {
    let identity = ""

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { $0.finish() }
    }
}
