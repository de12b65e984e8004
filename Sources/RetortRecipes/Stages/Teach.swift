import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortPython
import RetortRetrieval
import RetortStore
import RetortWorld
import Synchronization

extension RecipeRun {
    /// Where the teacher's trajectories for a style are stored.
    static func teachSet(_ style: Recipe.Style) -> String { "teach/\(style.rawValue)" }

    /// Collects the teacher's trajectories for a style.
    /// - Returns: the stage's hash.
    func teach(_ style: Recipe.Style) async throws -> String {
        let set = Self.teachSet(style)
        var hash = try Self.hash(recipe.source, recipe.seed, set)
        if let plan = recipe.teacher { hash = try Self.hash(hash, plan.asking, plan.operation) }
        try await stage(set, hash: hash) {
            try await store.remove(set: set)
        } body: {
            if let plan = recipe.teacher { return try await rollOut(plan, style, in: set) }
            switch source.teacher {
            case .recorded(let trajectories): try await keep(trajectories, for: style, in: set)
            case .scripted(let teacher):
                if recipe.teacherNoise != nil || style == .agentWithFirstThought {
                    try await rollOut(slipping: teacher, style, in: set)
                } else if style == .agent {
                    try await rollOut(teacher, in: set)
                } else {
                    try await writeReasoning(teacher, style, in: set)
                }
            case .apis: break
            }
        }
        return hash
    }

    /// Lets the scripted teacher solve the training tasks through the real run loop.
    private func rollOut(_ teacher: ScriptedTeacher, in set: String) async throws {
        let python = try await python()
        let tools = source.tools
        let rollout = Rollout(policy: teacher, maximumSteps: recipe.evaluation.maximumSteps, seed: recipe.seed) {
            try await python.session(tools: tools)
        }
        try await collect(rollout, source.train.map { RolloutJob($0) }, in: set, concurrency: 8)
    }

    /// Lets the scripted teacher solve the training tasks as a language model would: it reads chats, writes turns, and
    /// slips as the recipe says.
    private func rollOut(slipping teacher: ScriptedTeacher, _ style: Recipe.Style, in set: String) async throws {
        let model = ScriptedTeacherModel(teacher, tasks: source.train, noise: recipe.teacherNoise ?? .init())
        var plan = TeacherPlan(places: [])
        plan.asking.maximumSteps = recipe.evaluation.maximumSteps
        plan.concurrency = 8
        try await rollOut(model, plan, style, tools: source.tools, in: set)
    }

    // MARK: A teacher behind endpoints

    /// Lets a model behind endpoints solve the training tasks.
    private func rollOut(_ plan: TeacherPlan, _ style: Recipe.Style, in set: String) async throws {
        let teacher = try await endpointTeacher(plan)
        try await rollOut(teacher.model, plan, style, tools: teacher.tools, budget: teacher.budget, in: set)
        for account in teacher.remote?.accounts ?? [] where account.failures > 0 {
            ProgressLine(set).note(
                "\(account.endpoint): \(account.failures) of \(account.requests) requests failed, \(account.rests) rests"
            )
        }
    }

    /// Lets a model solve the training tasks in a style.
    private func rollOut(
        _ model: any LanguageModel, _ plan: TeacherPlan, _ style: Recipe.Style, tools: [any Tool],
        budget: Budget? = nil, in set: String
    ) async throws {
        let policy = Self.policy(plan, style, model, tools: tools)
        let asking = plan.asking
        let search = GreedySearch(
            sampling: Sampling(temperature: asking.temperature, topP: asking.topP),
            laterSampling: Sampling(temperature: asking.laterTemperature, topP: asking.topP))
        let steps = (policy as? ChainOfThought)?.maximumSteps ?? asking.maximumSteps
        let python = style.isAgent ? try await python() : nil
        let rollout = Rollout(policy: policy, search: search, maximumSteps: steps, seed: recipe.seed) {
            if let python { try await python.session(tools: tools) } else { ToolEnvironment(tools) }
        }
        let jobs = (0..<asking.trajectories).flatMap { attempt in
            source.train.map { RolloutJob($0, attempt: attempt) }
        }
        try await collect(
            rollout, jobs, in: set, concurrency: plan.concurrency, tries: plan.tries, budget: budget)
        if let policy = policy as? FirstThoughtPrefix { note(policy.tally, set) }
    }

    /// A style as the teacher carries it out.
    static func policy(
        _ plan: TeacherPlan, _ style: Recipe.Style, _ model: any LanguageModel, tools: [any Tool]
    ) -> any Policy {
        let asking = plan.asking
        let reasoning = ChainOfThoughtView(instructions: asking.instructions)
        guard style.isAgent else {
            let retriever = style == .cotWithRetrieval ? tools.first : nil
            return ChainOfThought(
                model: model, view: reasoning, retriever: retriever, maximumTokens: asking.maximumTokens)
        }
        let view = CodeAgentView(instructions: asking.instructions, tools: tools.map(\.specification))
        let agent = CodeAgent(model: model, view: view, maximumTokens: asking.maximumTokens)
        guard style.usesFirstThought(asking) else { return agent }
        return FirstThoughtPrefix(agent, reasoning: model, view: reasoning, maximumTokens: asking.maximumTokens)
    }

    /// The teacher, opened when it is first needed; what earlier runs spent counts.
    private func endpointTeacher(_ plan: TeacherPlan) async throws -> EndpointTeacher {
        if let openTeacher { return openTeacher }
        var spent = Usage()
        for style in Recipe.Style.allCases {
            for try await entry in store.trajectories(in: Self.teachSet(style)) {
                spent = spent + entry.trajectory.usage
            }
        }
        let opened = try await EndpointTeacher(plan, tools: source.tools, spent: spent)
        openTeacher = opened
        return opened
    }

    private func note(_ tally: FirstThoughtPrefix.Tally, _ set: String) {
        let faults = tally.faults.sorted { $0.key.rawValue < $1.key.rawValue }.map {
            "\($0.value) × \($0.key.rawValue)"
        }
        let repairs = tally.repairs.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key.rawValue)" }
        ProgressLine(set).note(
            "first thoughts: \(tally.used) used"
                + (repairs.isEmpty ? "" : " (\(repairs.joined(separator: ", ")))")
                + (faults.isEmpty ? "" : "; none in \(faults.joined(separator: ", "))"))
    }

    // MARK: Collecting

    /// Runs what a set lacks, grades it and stores it, as it finishes. What failed when the run was last here is run again.
    func collect(
        _ rollout: Rollout, _ jobs: [RolloutJob], in set: String, concurrency: Int, tries: Int = 1,
        budget: Budget? = nil
    ) async throws {
        let done = try await store.ids(in: set).subtracting(store.failedIDs(in: set))
        let left = jobs.filter { !done.contains(rollout.trajectoryID($0)) }
        let progress = SharedProgress(ProgressLine(set))
        let grader = try await self.grader()
        let store = store
        try await rollout.run(left, concurrency: concurrency, tries: tries) { finished in
            var entries: [StoredTrajectory] = []
            for trajectory in finished {
                entries.append(StoredTrajectory(trajectory: trajectory, verdict: await grader.grade(trajectory)))
            }
            try await store.save(entries, in: set)
            progress.show(entries, of: left.count, budget)
        }
    }

    private func writeReasoning(_ teacher: ScriptedTeacher, _ style: Recipe.Style, in set: String) async throws {
        let grader = try await self.grader()
        let done = try await store.taskIDs(in: set)
        for task in source.train where !done.contains(task.id) {
            try Task.checkCancellation()
            var passages: (query: String, text: String)?
            if style == .cotWithRetrieval, let search = source.search {
                passages = (task.question, try await search.call(["query": .string(task.question)]).text)
            }
            guard let trajectory = teacher.reasoned(task, passages: passages) else { continue }
            try await store.save(trajectory, verdict: await grader.grade(trajectory), in: set)
        }
    }

    private func keep(_ trajectories: [Trajectory], for style: Recipe.Style, in set: String) async throws {
        let grader = try await self.grader()
        let done = try await store.taskIDs(in: set)
        for trajectory in trajectories where !done.contains(trajectory.task.id) {
            try Task.checkCancellation()
            let adapted = style.isAgent ? trajectory.asAgentTrajectory() : trajectory.asReasoning
            try await store.save(adapted, verdict: await grader.grade(adapted), in: set)
        }
    }
}

extension Recipe.Style {
    /// Whether its teacher's first turn begins with a first thought.
    func usesFirstThought(_ asking: TeacherPlan.Asking) -> Bool {
        self == .agentWithFirstThought || (self == .agent && asking.firstThought)
    }
}

extension Recipe {
    /// How the scripted teacher slips; nil when it does not, or when another one teaches.
    var teacherNoise: ScriptedTeacherModel.Noise? {
        if case .world(let plan) = source { plan.noise } else { nil }
    }
}

/// A tally and the line it is shown on.
private final class SharedProgress: Sendable {
    private struct State {
        var tally = RolloutTally()
        let line: ProgressLine
    }

    private let state: Mutex<State>

    init(_ line: sending ProgressLine) { state = Mutex(State(line: line)) }

    func show(_ entries: [StoredTrajectory], of total: Int, _ budget: Budget?) {
        state.withLock { state in
            for entry in entries {
                state.tally.add(entry.trajectory, entry.verdict ?? Verdict(isCorrect: false, reason: "not graded"))
            }
            state.line.show(state.tally.done, of: total, state.tally.detail(budget))
        }
    }
}

extension Trajectory {
    /// The same work as prose: the recorded texts and outputs without the programs, then the answer.
    var asReasoning: Trajectory {
        var copy = Trajectory(task: task, provenance: provenance, id: id)
        if var last = steps.last {
            let before = steps.dropLast().flatMap { [$0.thought, $0.observation.text] }
            last.thought = (before + [last.thought]).filter { !$0.isEmpty }.joined(separator: "\n")
            copy.append(last)
        }
        if let ending { copy.end(ending) }
        return copy
    }
}
