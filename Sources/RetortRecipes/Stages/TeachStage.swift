import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortStore

/// Collects the teacher's trajectories for a kind of student.
struct TeachStage: Stage {
    let context: RunContext
    let style: Recipe.Style
    /// Which tasks the teacher works on.
    var part = Part.training

    /// Tasks that are learned from, or tasks that choose among the checkpoints of a training.
    enum Part { case training, validation }

    var name: String { Self.set(style, part) }
    var sources: [String] { [] }
    private var recipe: Recipe { context.recipe }
    private var source: TaskSource { context.source }
    private var tasks: [AgentTask] { part == .training ? source.train : source.validation }
    private var recorded: [Trajectory]? {
        if !style.isAgent, let reasoned = source.reasoned {
            let ids = Set(tasks.map(\.id))
            return reasoned.filter { ids.contains($0.task.id) }
        }
        return part == .training || source.recorded == nil ? source.recorded : source.recordedValidation
    }
    private var store: TrajectoryStore { context.store }

    /// Where the trajectories are stored.
    static func set(_ style: Recipe.Style, _ part: Part = .training) -> String {
        "teach/\(style.rawValue)\(part == .training ? "" : "/validation")"
    }

    func inputs() async throws -> [StageInput] {
        var inputs = try context.common() + context.trainingTasks(part == .training ? .train : .validation)
        inputs.append(try context.grading())
        if style.isAgent {
            inputs.append(try .setting("evaluation.programSeconds", recipe.evaluation.programSeconds))
        }
        if style.isAgent || style == .cotWithRetrieval { inputs += try context.tools() }
        guard let plan = recipe.teacher else {
            // Recorded turns are used as they are.
            if !style.isAgent, let file = recipe.recorded?.reasoning {
                inputs.append(try context.recording("recorded chains of thought", file))
            }
            guard recorded == nil, let teacher = source.domain.teacher else { return inputs }
            inputs += teacher.content.map { .text($0.name, $0.value) }
            if style.isAgent { inputs.append(try .setting("evaluation.maxSteps", steps(teacher))) }
            return inputs
        }
        inputs += try plan.inputs(context) + context.shown(to: style)
        let reasoning = StageInput.view("reasoning prompt", context.view(.cot, instructions: plan.asking.instructions))
        guard style.isAgent else { return inputs + [reasoning] }
        inputs.append(.view("agent's prompt", context.view(style, instructions: plan.asking.instructions)))
        return inputs + (style.usesFirstThought(plan.asking) ? [reasoning] : [])
    }

    func output() async throws -> String? { try await context.content(of: name) }

    func clear() async throws { try await context.remove(name) }

    func run() async throws -> StageOutcome {
        if let plan = recipe.teacher { return try await rollOut(plan) }
        if let recorded { return try await keep(recorded) }
        guard let teacher = source.domain.teacher else { throw RunError.noTeacher }
        if teacher.slips || style == .agentWithFirstThought, let model = teacher.model(for: tasks) {
            return try await rollOut(slipping: model)
        }
        guard let form = style.form else { return try await writeReasoning(teacher) }
        guard let policy = teacher.policy(form) else { throw RunError.noTeacher }
        return try await rollOut(policy, of: teacher, form)
    }

    // MARK: The domain's own teacher

    private func steps(_ teacher: any DomainTeacher) -> Int { teacher.maximumSteps ?? recipe.evaluation.maximumSteps }

    /// Lets the domain's teacher solve the training tasks through the real run loop, each with the search that it
    /// chooses.
    private func rollOut(
        _ policy: any Policy, of teacher: any DomainTeacher, _ form: ActionForm
    ) async throws -> StageOutcome {
        let groups = Dictionary(grouping: tasks) { teacher.search(for: $0).name }
        for (phase, (_, tasks)) in groups.sorted(by: { $0.key > $1.key }).enumerated() {
            guard let first = tasks.first else { continue }
            let rollout = Rollout(
                policy: policy, search: teacher.search(for: first), maximumSteps: steps(teacher), seed: recipe.seed,
                environmentFor: context.sessions(form))
            _ = try await context.collect(
                rollout, tasks.map { RolloutJob($0) }, in: name, concurrency: 8, phase: phase)
        }
        return try await context.outcome(of: name)
    }

    /// Lets the domain's teacher solve the training tasks as a language model would: it reads chats, writes turns, and
    /// may make mistakes.
    private func rollOut(slipping model: any LanguageModel) async throws -> StageOutcome {
        var plan = TeacherPlan(endpoints: [])
        plan.asking.maximumSteps = recipe.evaluation.maximumSteps
        plan.concurrency = 8
        return try await rollOut(model, plan, tools: source.tools)
    }

    private func writeReasoning(_ teacher: any DomainTeacher) async throws -> StageOutcome {
        let done = try await store.taskIDs(in: name)
        var faults: [String] = []
        for task in tasks where !done.contains(task.id) {
            try Task.checkCancellation()
            let found = try await passages(for: task)
            guard let trajectory = teacher.reasoned(task, passages: found) else { continue }
            if let fault = try await saveGraded(trajectory) { faults.append(fault) }
        }
        return try await context.outcome(of: name, ungraded: faults)
    }

    /// Grades and stores a trajectory that no run makes again. One that could not be graded is not stored, so the next
    /// run tries to grade it again.
    /// - Returns: why it could not be graded; nil where it was.
    private func saveGraded(_ trajectory: Trajectory) async throws -> String? {
        switch try await context.workshop.grader().verdict(on: trajectory) {
        case .failure(let fault): return fault.description
        case .success(let verdict):
            try await store.save(trajectory, verdict: verdict, in: name)
            return nil
        }
    }

    /// What the domain's search finds for a question, where the style reads passages.
    private func passages(for task: AgentTask) async throws -> (query: String, text: String)? {
        guard style == .cotWithRetrieval, let search = source.domain.retriever else { return nil }
        return (task.question, try await search.call(["query": .string(task.question)]).text)
    }

    // MARK: Recorded trajectories

    private func keep(_ trajectories: [Trajectory]) async throws -> StageOutcome {
        let done = try await store.ids(in: name)
        let progress = ProgressLine(name)
        var (kept, faults) = (0, [String]())
        for trajectory in trajectories where !done.contains(trajectory.id) {
            try Task.checkCancellation()
            guard let adapted = try await adapted(trajectory) else { continue }
            if let fault = try await saveGraded(adapted) { faults.append(fault) }
            kept += 1
            progress.show(kept, of: trajectories.count)
        }
        return try await context.outcome(of: name, ungraded: faults)
    }

    /// A recorded trajectory in the form of the style; nil where it has no such form.
    private func adapted(_ trajectory: Trajectory) async throws -> Trajectory? {
        switch style {
        case .cot: return trajectory.asReasoning
        case .cotWithRetrieval:
            // The student will read passages before it reasons, so its samples contain them, too.
            let reasoned = trajectory.asReasoning
            guard let found = try await passages(for: trajectory.task), let search = source.domain.retriever else {
                return reasoned
            }
            let retrieval = Step.retrieval(search.specification.name, query: found.query, passages: found.text)
            return reasoned.with(steps: [retrieval] + reasoned.steps)
        case .agent, .agentWithFirstThought: return trajectory.asAgentTrajectory()
        case .toolAgent: return trajectory.steps.contains { $0.action.code != nil } ? nil : trajectory
        }
    }

    // MARK: A teacher behind endpoints

    /// Lets a model behind endpoints solve the training tasks.
    private func rollOut(_ plan: TeacherPlan) async throws -> StageOutcome {
        let teacher = try await context.workshop.teacher(plan, stored: try await context.storedTeaching())
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
        let policy = policy(plan, model, tools: tools)
        let asking = plan.asking
        let search = GreedySearch(
            sampling: Sampling(temperature: asking.temperature, topP: asking.topP),
            laterSampling: Sampling(temperature: asking.laterTemperature, topP: asking.topP))
        let steps = (policy as? ChainOfThought)?.maximumSteps ?? asking.maximumSteps
        let sessions = style.form.map { context.sessions($0, tools: tools) }
        let rollout = Rollout(
            policy: policy, search: search, maximumSteps: steps, seed: recipe.seed,
            environmentFor: sessions ?? { _ in ToolEnvironment(tools) })
        let jobs = (0..<asking.trajectories).flatMap { attempt in
            tasks.map { RolloutJob($0, attempt: attempt) }
        }
        let outcome = try await context.collect(
            rollout, jobs, in: name, concurrency: plan.concurrency, tries: plan.tries, budget: budget)
        if let policy = policy as? FirstThoughtPrefix { note(policy.tally) }
        return outcome
    }

    /// The style's policy as the teacher carries it out.
    func policy(_ plan: TeacherPlan, _ model: any LanguageModel, tools: [any Tool]) -> any Policy {
        let asking = plan.asking
        let guidance = source.domain.guidance
        let reasoning = ChainOfThoughtView(instructions: asking.instructions, guidance: guidance)
        switch style {
        case .cot, .cotWithRetrieval:
            let name = style == .cotWithRetrieval ? source.domain.retriever?.specification.name : nil
            return ChainOfThought(
                model: model, view: reasoning, retriever: tools.first { $0.specification.name == name },
                maximumTokens: asking.maximumTokens)
        case .toolAgent:
            return ToolAgent(
                name: "tool-agent", model: RoleModel(model), instructions: asking.instructions,
                observationLimit: context.observationLimit, tools: source.toolDocuments, guidance: guidance,
                maximumTokens: asking.maximumTokens)
        case .agent, .agentWithFirstThought:
            let view = context.view(style, instructions: asking.instructions)
            let agent = CodeAgent(model: model, view: view, maximumTokens: asking.maximumTokens)
            guard style.usesFirstThought(asking) else { return agent }
            return FirstThoughtPrefix(agent, reasoning: model, view: reasoning, maximumTokens: asking.maximumTokens)
        }
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

extension RunContext {
    /// The cost of the teachers' stored trajectories.
    func storedTeaching() async throws -> Usage {
        var stored = Usage()
        for style in Recipe.Style.allCases {
            for part in [TeachStage.Part.training, .validation] {
                for try await entry in store.trajectories(in: TeachStage.set(style, part)) {
                    stored = stored + entry.trajectory.usage
                }
            }
        }
        return stored
    }
}

extension Recipe.Style {
    /// Whether its teacher's first turn begins with a first thought.
    func usesFirstThought(_ asking: TeacherPlan.Asking) -> Bool {
        self == .agentWithFirstThought || (self == .agent && asking.firstThought)
    }
}

extension Trajectory {
    /// The same work as prose: the recorded texts and outputs without the programs, then the answer, even where a
    /// program gave it.
    var asReasoning: Trajectory {
        guard var last = steps.last else { return self }
        let before = steps.dropLast().flatMap { [$0.thought, $0.observation.text] }
        last.thought = (before + [last.thought]).filter { !$0.isEmpty }.joined(separator: "\n")
        switch ending {
        case .answered(let value), .forced(let value): last.action = .answer(value)
        case .gaveUp, .failed, nil: break
        }
        return with(steps: [last])
    }
}
