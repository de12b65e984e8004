import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortLLM
import RetortPython

/// An agent, ready for questions: opened from the folder that training ended with, or a model that is prompted to be
/// one.
///
/// The folder contains everything except the base of its adapters. It is never written to, needs no run and no lock,
/// and can be copied to another machine. Any number of tasks may ask questions at the same time.
///
/// ```swift
/// let agent = try await Agent(contentsOf: URL(fileURLWithPath: "hotel-agent"))
/// if let answer = try await agent.answer("Please book room 321 for Rosa.") { print(answer) }
/// await agent.close()
/// ```
public struct Agent: Sendable {
    /// How an agent is opened.
    public struct Options: Sendable {
        /// How its models compute.
        public var engine: LocalModel.Options
        /// The weakest sandbox to run its programs in.
        public var sandbox: SandboxLevel
        /// Where the base of its adapters is; nil looks in its original place, beside the agent, and in
        /// `RETORT_MODELS`.
        public var base: URL?
        /// Whether tools may be processes on this machine.
        public var processes: Processes
        /// Remembers the digests of files that were read before.
        public var digests: FileDigests

        /// Tools that run with the user's rights: functions on the host, commands of servers.
        public enum Processes: Sendable {
            /// An agent with such tools is not opened.
            case refused
            /// For agents whose maker is trusted.
            case allowed
        }

        /// By default everything runs in a sandbox, and an agent's tools may not start processes.
        public init(
            engine: LocalModel.Options = .init(prefixTokens: 1 << 15), sandbox: SandboxLevel = .restricted,
            base: URL? = nil, processes: Processes = .refused, digests: FileDigests = .ofUser
        ) {
            self.engine = engine
            self.sandbox = sandbox
            self.base = base
            self.processes = processes
            self.digests = digests
        }
    }

    /// The name of the student whose weights it has.
    public let student: String
    /// Its name among its student's agents, such as `agent`, `cot+rag` or `umi`.
    public let system: String
    /// How it works.
    public let plan: AgentPlan
    /// A task like those it was made for; nil where none is known.
    public let sampleTask: AgentTask?
    private let players: [AgentRole: RoleModel]
    private let family: AgentTask.Family
    let bench: AgentBench

    init(
        student: String, system: String, plan: AgentPlan, sampleTask: AgentTask?, family: AgentTask.Family,
        players: [AgentRole: RoleModel], bench: AgentBench
    ) {
        self.student = student
        self.system = system
        self.plan = plan
        self.sampleTask = sampleTask
        self.family = family
        self.players = players
        self.bench = bench
    }

    /// Opens an agent's folder.
    /// - Throws: `AgentError` for a folder that is incomplete, or whose `agent.json` cannot be followed; what models,
    ///   tools and interpreters throw that cannot be opened.
    public init(contentsOf folder: URL, options: Options = Options()) async throws {
        let group = try await AgentGroup(contentsOf: [folder], options: options)
        self = group.agents[0]
    }

    /// A model that was not trained as an agent, and whose prompt tells it to be one in a user's domain.
    /// - Parameters:
    ///   - model: any model.
    ///   - form: what it is shown; use `full` instructions for a model that was not trained on the form.
    /// - Throws: `AgentError`, `DomainError`.
    public init(
        prompting model: any LanguageModel, in domain: FolderDomain, as form: AgentForm,
        limits: AgentPlan.Limits = .init(), sandbox: SandboxLevel = .restricted
    ) throws {
        if case .reasoning(_, retrieves: true) = form, domain.retriever == nil {
            throw DomainError.noForm("cot+rag", domain: domain.name, reason: "it has no 'documents' to search")
        }
        self.init(
            student: model.identity, system: "prompt",
            plan: AgentPlan(
                name: "prompt", view: form, guidance: domain.guidance,
                tools: form.action == nil ? [domain.retriever?.specification].compactMap(\.self) : domain.tools,
                limits: limits,
                search: AgentSearch(), seed: 42),
            sampleTask: domain.tests.first ?? domain.train.first, family: domain.plan.grader.family,
            players: Dictionary(uniqueKeysWithValues: form.roles.map { ($0, RoleModel(model)) }),
            bench: AgentBench(domain, limits: PythonLimits(seconds: limits.seconds), requiring: sandbox))
    }

    /// Its name for people: `student/system`.
    public var title: String { "\(student)/\(system)" }

    /// The names of the models behind it, joined by `+`.
    public var modelIdentity: String {
        Set(players.values.map(\.model.identity)).sorted().joined(separator: "+")
    }

    /// A question as a task. Where tools come with tasks, it has the sample's tools.
    public func task(_ question: String) -> AgentTask {
        var task = AgentTask(
            id: String(StableHash.of(question), radix: 16), question: question, answers: [], family: family)
        if plan.tools.isEmpty, let tools = sampleTask?.tools, !tools.isEmpty { task.tools = tools }
        return task
    }

    /// Runs the agent on tasks, either as events while it works or to the end.
    /// - Parameter way: deviations from its usual way of exploring.
    /// - Throws: `AgentError.noMeaning`.
    public func rollout(_ way: AgentWay = AgentWay()) throws -> Rollout {
        try plan.rollout(players, host: hostTools, retriever: bench.domain.retriever, way: way) { task in
            try await session(for: task)
        }
    }

    /// The policy and the search, for work that is done one step at a time.
    func parts(_ way: AgentWay) throws -> AgentPlan.Parts {
        try plan.parts(players, retriever: bench.domain.retriever, way: way)
    }

    /// A session for such work.
    func session(for task: AgentTask, _ parts: AgentPlan.Parts) async throws -> any Environment {
        GuardedEnvironment(parts.reasons ? ToolEnvironment(hostTools) : try await session(for: task))
    }

    /// The host's tools that the agent was told of.
    private var hostTools: [any Tool] {
        let told = Set(plan.tools.map(\.name))
        return bench.domain.hostTools.filter { told.contains($0.specification.name) }
    }

    /// A session with the agent's tools.
    func session(for task: AgentTask) async throws -> any Environment {
        let bench = bench
        return try await bench.domain.session(for: task, form: plan.view.action ?? .code, tools: hostTools) {
            try await bench.python()
        }
    }

    /// Works on a question to the end.
    /// - Returns: the answer as text; nil where the agent reached none.
    /// - Throws: `AgentError`, `AgentRunError` when the run broke, `CancellationError`.
    public func answer(_ question: String, _ way: AgentWay = AgentWay()) async throws -> String? {
        let trajectory = try await rollout(way).trajectory(for: task(question))
        if case .failed(let reason) = trajectory.ending { throw AgentRunError(reason: reason) }
        return trajectory.answer
    }

    /// Closes its interpreter and what its tools hold open. Agents of a group share these.
    public func close() async { await bench.close() }
}

/// A question that could not be answered because the model or a tool's session broke.
public struct AgentRunError: Error, CustomStringConvertible {
    /// What broke, in words.
    public let reason: String

    /// - Parameter reason: what broke, in words.
    public init(reason: String) { self.reason = reason }

    /// A message for users.
    public var description: String { "the run broke: \(reason)" }
}

/// An agent's domain, and an interpreter that is started when the first program is run.
actor AgentBench {
    nonisolated let domain: any Domain
    private let interpreter: SharedInterpreter
    private var isClosed = false

    init(_ domain: any Domain, limits: PythonLimits, requiring sandbox: SandboxLevel) {
        self.domain = domain
        interpreter = SharedInterpreter(limits: limits, requiring: sandbox)
    }

    func python() async throws -> PythonInterpreter {
        if let own = domain.interpreter { return own }
        return try await interpreter.started()
    }

    /// Closes once; all agents that share it may call this.
    func close() async {
        guard !isClosed else { return }
        isClosed = true
        await interpreter.close()
        await domain.close()
    }
}
