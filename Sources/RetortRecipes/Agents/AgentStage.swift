import Foundation
import RetortAgents
import RetortCore

/// Writes the folder of an agent after its training. Nothing is trained, and no model is asked.
struct AgentStage: Stage {
    let context: RunContext
    let student: Recipe.Student
    let plan: AgentPlan
    /// The roles, and the stages that trained their models.
    let players: [AgentRole: TrainedStage]

    var name: String { "\(AgentPlaces.folder)/\(student.name)/\(plan.name)" }
    var sources: [String] { Set(players.values.map(\.name)).sorted() }
    private var target: URL { context.folder.agent(student.name, plan.name) }
    private var writer: AgentWriter { AgentWriter(target, context.digests) }

    func inputs() async throws -> [StageInput] {
        var inputs = [StageInput.text("agent.json", "version \(AgentFile.version)")]
        inputs += try StageInput.settings("agent", plan)
        if plan.usesDomain { inputs += try context.tools() }
        inputs += [
            .text("agent.prompt", try plan.promptIdentity), try .setting("agent.sample", sample),
            try .setting("agent.precision", context.recipe.evaluation.weights),
            try context.weights("base weights", student.base),
            .text("base's folder", URL(fileURLWithPath: student.base).standardizedFileURL.path),
        ]
        return inputs
    }

    func output() async throws -> String? {
        guard let folder = try? AgentFolder(target), (try? folder.verify(context.digests)) != nil else { return nil }
        return try context.digests.file(folder.place(AgentFile.name))
    }

    func clear() async throws { try writer.remove() }

    func run() async throws -> StageOutcome {
        let index = context.folder.url.appendingPathComponent("passages.sqlite").resolvingSymlinksInPath()
        let (domain, tools) = try context.recipe.domain.packed(
            for: plan, index: index, of: context.source.domain)
        var packed = tools
        var named: [String: AgentFile.Player] = [:]
        let base = URL(fileURLWithPath: student.base)
        for (role, stage) in players {
            var player = AgentFile.Player()
            if let below = stage.base {
                player.adapter = "adapters/\(stage.label)"
                packed += try Self.files(of: stage.folder, as: "adapters/\(stage.label)")
                if below.standardizedFileURL != base.standardizedFileURL {
                    player.weights = "weights/\(label(of: below))"
                    packed += try Self.files(of: below, as: "weights/\(label(of: below))")
                }
            } else {
                player.weights = "weights/\(stage.label)"
                packed += try Self.files(of: stage.folder, as: "weights/\(stage.label)")
            }
            named[role.rawValue] = player
        }
        let agent = AgentFile(
            student: student.name, system: plan.name, agent: plan, prompt: try plan.promptIdentity, players: named,
            base: try AgentBase(base, context.digests), precision: context.recipe.evaluation.weights, domain: domain,
            sample: sample, files: [:])
        try writer.write(agent, packed)
        return .complete
    }

    /// A task like those that it is for, without its answer.
    private var sample: AgentTask? {
        let tests = context.source.tests
        var task =
            tests.first { $0.family == .factual && $0.split == "out" } ?? tests.first ?? context.source.train.first
        task?.answers = []
        return task
    }

    /// Whole weights in the run's folder for checkpoints, by their path in it.
    private func label(of weights: URL) -> String {
        let home =
            context.folder.url.appendingPathComponent("checkpoints/\(student.name)").standardizedFileURL.path + "/"
        let path = weights.standardizedFileURL.path
        return (path.hasPrefix(home) ? String(path.dropFirst(home.count)) : weights.lastPathComponent)
            .replacing("/", with: "-")
    }

    /// The files of a model or an adapter.
    private static func files(of folder: URL, as path: String) throws -> [PackedFile] {
        try FileDigests.modelFiles(folder).map {
            PackedFile(source: folder.appendingPathComponent($0), path: "\(path)/\($0)", isOurs: true)
        }
    }
}

extension TrainedStage {
    /// The name of its folder.
    fileprivate var label: String { folder.lastPathComponent }
}

extension RunContext {
    /// The agent that a training of a style makes.
    /// - Parameters:
    ///   - name: its name in trajectories; nil is the style's.
    ///   - instructions: longer ones for a base that was not trained.
    func agentPlan(
        _ style: Recipe.Style, name: String? = nil, instructions: Instructions = .brief,
        search: AgentSearch.Kind = .greedy
    ) -> AgentPlan {
        let view: AgentForm =
            switch style {
            case .cot: .reasoning(instructions, retrieves: false)
            case .cotWithRetrieval: .reasoning(instructions, retrieves: true)
            case .agent, .agentWithFirstThought: .code(instructions)
            case .toolAgent: .single(.init(instructions, observationCharacters: observationLimit))
            }
        return agentPlan(view, name: name ?? style.rawValue, search: search)
    }

    /// The agent that a curriculum makes.
    func agentPlan(
        _ curriculum: Curriculum, search: AgentSearch.Kind = .greedy, outputs: OutputConstraint = .free
    ) -> AgentPlan {
        let form = AgentForm.Roles(calls: callForm, observationCharacters: observationLimit, outputs: outputs)
        let isTeam = curriculum.players[.planner] != nil
        return agentPlan(isTeam ? .team(form) : .single(form), name: curriculum.name, search: search)
    }

    private func agentPlan(_ view: AgentForm, name: String, search: AgentSearch.Kind) -> AgentPlan {
        let plan = recipe.evaluation
        var tools = source.specifications
        if case .reasoning(_, let retrieves) = view {
            tools = retrieves ? [source.domain.retriever?.specification].compactMap(\.self) : []
        }
        let depthFirst = plan.roles.map { AgentSearch.DepthFirst(width: $0.width, queries: $0.queries) }
        return AgentPlan(
            name: name, view: view, guidance: source.domain.guidance, tools: tools,
            limits: .init(steps: plan.maximumSteps, tokens: plan.maximumTokens, seconds: plan.programSeconds),
            search: AgentSearch(search, vote: plan.vote, depthFirst: depthFirst ?? .init()), seed: recipe.seed)
    }
}
