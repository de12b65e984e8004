import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortRetrieval
import RetortStore
import RetortWorld

/// Collects the teacher's trajectories for a kind of student.
struct TeachStage: Stage {
    let context: RunContext
    let style: Recipe.Style

    var name: String { Self.set(style) }
    var sources: [String] { [] }
    private var recipe: Recipe { context.recipe }
    private var source: TaskSource { context.source }
    private var store: TrajectoryStore { context.store }

    /// Where the trajectories are stored.
    static func set(_ style: Recipe.Style) -> String { "teach/\(style.rawValue)" }

    func inputs() async throws -> [StageInput] {
        var inputs = try context.common() + context.trainingTasks() + [context.grading()]
        if style.isAgent {
            inputs.append(try .setting("evaluation.programSeconds", recipe.evaluation.programSeconds))
        }
        if style.isAgent || style == .cotWithRetrieval { inputs += try context.tools() }
        guard let plan = recipe.teacher else {
            if let noise = recipe.teacherNoise { inputs += try StageInput.settings("world.noise", noise) }
            // Recorded turns are as they are.
            if case .scripted = source.teacher, style.isAgent {
                inputs.append(try .setting("evaluation.maxSteps", recipe.evaluation.maximumSteps))
            }
            return inputs
        }
        inputs += try plan.inputs(context)
        let reasoning = StageInput.view("reasoning prompt", ChainOfThoughtView(instructions: plan.asking.instructions))
        guard style.isAgent else { return inputs + [reasoning] }
        let acting = CodeAgentView(
            instructions: plan.asking.instructions, tools: source.tools.map(\.specification))
        inputs.append(.view("agent's prompt", acting))
        return inputs + (style.usesFirstThought(plan.asking) ? [reasoning] : [])
    }

    func output() async throws -> String? { try await context.content(of: name) }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        if let plan = recipe.teacher { return try await rollOut(plan) }
        switch source.teacher {
        case .recorded(let trajectories): return try await keep(trajectories)
        case .scripted(let teacher):
            if recipe.teacherNoise != nil || style == .agentWithFirstThought {
                return try await rollOut(slipping: teacher)
            }
            return style == .agent ? try await rollOut(teacher) : try await writeReasoning(teacher)
        case .apis: return .complete
        }
    }

    // MARK: The scripted teacher

    /// Lets the scripted teacher solve the training tasks through the real run loop.
    private func rollOut(_ teacher: ScriptedTeacher) async throws -> StageOutcome {
        let python = try await context.workshop.python()
        let tools = source.tools
        let rollout = Rollout(policy: teacher, maximumSteps: recipe.evaluation.maximumSteps, seed: recipe.seed) {
            try await python.session(tools: tools)
        }
        return try await context.collect(rollout, source.train.map { RolloutJob($0) }, in: name, concurrency: 8)
    }

    /// Lets the scripted teacher solve the training tasks as a language model would: it reads chats, writes turns, and
    /// slips as the recipe says.
    private func rollOut(slipping teacher: ScriptedTeacher) async throws -> StageOutcome {
        let model = ScriptedTeacherModel(teacher, tasks: source.train, noise: recipe.teacherNoise ?? .init())
        var plan = TeacherPlan(places: [])
        plan.asking.maximumSteps = recipe.evaluation.maximumSteps
        plan.concurrency = 8
        return try await rollOut(model, plan, tools: source.tools)
    }

    private func writeReasoning(_ teacher: ScriptedTeacher) async throws -> StageOutcome {
        let grader = try await context.workshop.grader()
        let done = try await store.taskIDs(in: name)
        for task in source.train where !done.contains(task.id) {
            try Task.checkCancellation()
            var passages: (query: String, text: String)?
            if style == .cotWithRetrieval, let search = source.search {
                passages = (task.question, try await search.call(["query": .string(task.question)]).text)
            }
            guard let trajectory = teacher.reasoned(task, passages: passages) else { continue }
            try await store.save(trajectory, verdict: await grader.grade(trajectory), in: name)
        }
        return .complete
    }

    private func keep(_ trajectories: [Trajectory]) async throws -> StageOutcome {
        let grader = try await context.workshop.grader()
        let done = try await store.taskIDs(in: name)
        for trajectory in trajectories where !done.contains(trajectory.task.id) {
            try Task.checkCancellation()
            let adapted = style.isAgent ? trajectory.asAgentTrajectory() : trajectory.asReasoning
            try await store.save(adapted, verdict: await grader.grade(adapted), in: name)
        }
        return .complete
    }

    // MARK: A teacher behind endpoints

    /// Lets a model behind endpoints solve the training tasks.
    private func rollOut(_ plan: TeacherPlan) async throws -> StageOutcome {
        var stored = Usage()
        for style in Recipe.Style.allCases {
            for try await entry in store.trajectories(in: Self.set(style)) {
                stored = stored + entry.trajectory.usage
            }
        }
        let teacher = try await context.workshop.teacher(plan, stored: stored)
        let outcome = try await rollOut(teacher.model, plan, tools: teacher.tools, budget: teacher.budget)
        for account in teacher.remote?.accounts ?? [] where account.failures > 0 {
            ProgressLine(name).note(
                "\(account.endpoint): \(account.failures) of \(account.requests) requests failed, \(account.rests) rests"
            )
        }
        return outcome
    }

    /// Lets a model solve the training tasks in the style.
    private func rollOut(
        _ model: any LanguageModel, _ plan: TeacherPlan, tools: [any Tool], budget: Budget? = nil
    ) async throws -> StageOutcome {
        let policy = Self.policy(plan, style, model, tools: tools)
        let asking = plan.asking
        let search = GreedySearch(
            sampling: Sampling(temperature: asking.temperature, topP: asking.topP),
            laterSampling: Sampling(temperature: asking.laterTemperature, topP: asking.topP))
        let steps = (policy as? ChainOfThought)?.maximumSteps ?? asking.maximumSteps
        let python = style.isAgent ? try await context.workshop.python() : nil
        let rollout = Rollout(policy: policy, search: search, maximumSteps: steps, seed: recipe.seed) {
            if let python { try await python.session(tools: tools) } else { ToolEnvironment(tools) }
        }
        let jobs = (0..<asking.trajectories).flatMap { attempt in
            source.train.map { RolloutJob($0, attempt: attempt) }
        }
        let outcome = try await context.collect(
            rollout, jobs, in: name, concurrency: plan.concurrency, tries: plan.tries, budget: budget)
        if let policy = policy as? FirstThoughtPrefix { note(policy.tally) }
        return outcome
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

    private func note(_ tally: FirstThoughtPrefix.Tally) {
        let faults = tally.faults.sorted { $0.key.rawValue < $1.key.rawValue }.map {
            "\($0.value) × \($0.key.rawValue)"
        }
        let repairs = tally.repairs.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key.rawValue)" }
        ProgressLine(name).note(
            "first thoughts: \(tally.used) used"
                + (repairs.isEmpty ? "" : " (\(repairs.joined(separator: ", ")))")
                + (faults.isEmpty ? "" : "; none in \(faults.joined(separator: ", "))"))
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
