import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortLLM
import RetortPython

/// A finished run, opened for use: its students, and what its agents work with.
public struct DistilledRun: Sendable {
    /// A checkpoint of the run.
    public struct Checkpoint: Sendable {
        /// The student's name, such as `3m`.
        public let student: String
        /// The base it was made from.
        public let base: URL
        /// What it learned: `cot`, `cot+rag` or `agent`.
        public let style: Recipe.Style
        /// Weights, or an adapter for the base.
        public let folder: URL
        /// Whether the folder holds an adapter.
        public let isAdapter: Bool
    }

    /// As it was carried out.
    public let recipe: Recipe
    /// What there is, in the recipe's order.
    public let checkpoints: [Checkpoint]
    /// One of the run's out-of-domain factual tasks.
    public let sampleTask: AgentTask
    private let folder: RunFolder
    private let source: TaskSource
    private let python: PythonInterpreter

    /// Opens a run with its tools, and starts its interpreter.
    /// - Throws: `RunError` when there is no run, or another process works in it.
    public init(_ url: URL, requiring sandbox: SandboxLevel = .restricted) async throws {
        let manifest = try Manifest(folder: url)
        let recipe = manifest.recipe
        let folder = try RunFolder(url)
        let source = try await TaskSource(recipe, folder: folder.url, requiring: sandbox)
        self.recipe = recipe
        self.folder = folder
        checkpoints = Self.checkpoints(manifest, folder)
        self.source = source
        sampleTask =
            source.tests.first { $0.family == .factual && $0.split == "out" } ?? source.tests.first
            ?? AgentTask(id: "sample", question: "What is 6 * 7?", answers: ["42"], family: .math)
        python =
            if let own = source.domain.interpreter {
                own
            } else {
                try await PythonInterpreter(
                    limits: PythonLimits(seconds: recipe.evaluation.programSeconds), requiring: sandbox)
            }
    }

    /// Those that are finished: what is being made anew, or no longer fits the recipe, is not the run's.
    private static func checkpoints(_ manifest: Manifest, _ folder: RunFolder) -> [Checkpoint] {
        manifest.recipe.students.flatMap { student in
            Recipe.Style.allCases.compactMap { style in
                guard manifest.stages[TrainStage.name(student, style)]?.state == .complete else { return nil }
                let place = folder.checkpoint(student.name, style)
                let has = { FileManager.default.fileExists(atPath: place.appendingPathComponent($0).path) }
                let isAdapter = has("adapter_config.json")
                guard isAdapter || has("config.json") else { return nil }
                return Checkpoint(
                    student: student.name, base: URL(fileURLWithPath: student.base), style: style, folder: place,
                    isAdapter: isAdapter)
            }
        }
    }

    /// The run's agent, with a model that learned to be one.
    /// - Parameters:
    ///   - style: what it learned; a style of agents.
    ///   - sampling: how a single vote is sampled; the recipe says how several are, unless this is not greedy.
    ///   - votes: samples a step; nil takes the recipe's number.
    public func agent(
        _ model: any LanguageModel, style: Recipe.Style = .agent, sampling: Sampling = .greedy, votes: Int? = 1
    ) -> Rollout {
        let plan = recipe.evaluation
        let (domain, python, form) = (source.domain, python, style.form ?? .code)
        let policy: any Policy =
            switch form {
            case .code:
                CodeAgent(
                    model: model,
                    view: CodeAgentView(instructions: .brief, tools: domain.tools, guidance: domain.guidance),
                    maximumTokens: plan.maximumTokens)
            case .json:
                ToolAgent(
                    name: "tool-agent", model: RoleModel(model),
                    observationLimit: recipe.observationLimit(in: domain), tools: source.toolDocuments,
                    guidance: domain.guidance, maximumTokens: plan.maximumTokens)
            }
        var vote = plan.vote
        vote.samples = votes ?? vote.samples
        let isGreedy = sampling.temperature == 0
        let search: any Search =
            vote.samples == 1
            ? GreedySearch(sampling: sampling)
            : isGreedy
                ? vote.search
                : SelfConsistentSearch(
                    samples: vote.samples, sampling: sampling, rule: vote.rule, spelling: AnswerSpelling.of)
        return Rollout(
            policy: policy, search: search, maximumSteps: plan.maximumSteps,
            seed: isGreedy ? recipe.seed : sampling.seed,
            environmentFor: { task in
                try await domain.session(for: task, form: form, tools: domain.hostTools) { python }
            })
    }

    /// Ends the interpreter, and what else runs for the domain's tools.
    public func close() async {
        if source.domain.interpreter == nil { await python.close() }
        await source.domain.close()
    }
}
