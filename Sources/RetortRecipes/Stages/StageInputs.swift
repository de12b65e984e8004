import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortLLM
import RetortStore

/// What several kinds of stages depend on.
extension RunContext {
    /// What every stage depends on.
    func common() throws -> [StageInput] { [.computation, try .setting("seed", recipe.seed)] }

    /// The tasks that a teacher works on, or has worked on.
    /// - Parameter part: `.train` or `.validation`.
    func trainingTasks(_ part: DomainPart = .train) throws -> [StageInput] {
        var inputs = try content(part)
        guard let plan = recipe.recorded else { return inputs }
        inputs += [try recording("recorded trajectories", plan.file), .text("teacher.format", plan.format.rawValue)]
        if !plan.map.isEmpty { inputs.append(try .setting("teacher.map", plan.map)) }
        if let train = plan.train { inputs.append(try .setting("teacher.train", train)) }
        return inputs
    }

    /// A part of the domain, by its content.
    func content(_ part: DomainPart) throws -> [StageInput] {
        try source.domain.content(of: part) { try digests.file($0) }.map { .text($0.name, $0.value) }
    }

    /// The tasks that students are measured on. Their number is part of the evaluation's plan.
    func testTasks() throws -> [StageInput] {
        // Training questions are left out of the tests.
        var inputs = try trainingTasks()
        if !source.domain.dealsTests { inputs += try content(.tests) }
        guard let plan = recipe.benchmarks else { return inputs }
        inputs += try StageInput.settings("benchmarks", plan).filter { $0.name != "benchmarks.folder" }
        for name in plan.names {
            let benchmark = try Benchmark.named(name)
            inputs.append(try file("benchmark \(name)", "\(plan.folder)/\(benchmark.file)"))
        }
        return inputs
    }

    /// The tools that agents are given, and the documents that they search.
    func tools() throws -> [StageInput] {
        [try StageInput.setting("tools", source.specifications)] + (try content(.tools))
    }

    /// The labels given by hand in the sets that a training reads, where the recipe asks for labels.
    func labels(of sets: [String]) async throws -> [StageInput] {
        guard recipe.filter?.labels != nil else { return [] }
        var inputs: [StageInput] = []
        for set in sets {
            guard let digest = try await store.digestOfLabels(in: set) else { continue }
            inputs.append(StageInput(name: "labels of \(set)", value: "sha256:\(digest)"))
        }
        return inputs
    }

    /// The deciding grader.
    func grading() throws -> StageInput {
        let judging = recipe.domain.isJudged ? try recipe.judge.map(judging) ?? [] : []
        let own = try (content(.grading) + judging).flatMap { [$0.name, $0.value] }
        let usual = recipe.benchmarks?.compatibility.rawValue ?? "values"
        return .text("grading", own.isEmpty ? usual : "\(usual) \(ContentDigest.of(own))")
    }

    /// How much of an observation agents of JSON calls and of roles are shown, where that is not the usual amount.
    func shown(to style: Recipe.Style = .toolAgent) throws -> [StageInput] {
        guard style == .toolAgent, observationLimit != RoleView.usualObservationLimit else { return [] }
        return [try .setting("observationLimit", observationLimit)]
    }

    /// A base's or a teacher's weights, tokenizer and template.
    func weights(_ name: String, _ folder: String) throws -> StageInput {
        StageInput(name: name, value: "sha256:\(try digests.model(URL(fileURLWithPath: folder)))")
    }

    /// Recorded trajectories: a file, or the logs in a folder, by name and content.
    func recording(_ name: String, _ path: String) throws -> StageInput {
        let url = URL(fileURLWithPath: path)
        guard url.isFolder else { return try file(name, path) }
        let parts = try RecordedTrajectories.files(in: url).flatMap { file in
            [String(file.path.dropFirst(url.path.count)), try digests.file(file)]
        }
        return StageInput(name: name, value: "sha256:\(ContentDigest.of(parts))")
    }

    func file(_ name: String, _ path: String) throws -> StageInput {
        StageInput(name: name, value: "sha256:\(try digests.file(URL(fileURLWithPath: path)))")
    }
}

extension StageInput {
    /// A view, by the fixed text of its prompts.
    static func view(_ name: String, _ view: any View) -> StageInput {
        let probe = Trajectory(
            task: AgentTask(id: "", question: "", answers: [], family: .factual),
            provenance: Provenance(policy: "", model: ""))
        let turns = (view.messages(for: probe) + [view.lastCall]).flatMap { [$0.role.rawValue, $0.text] }
        return StageInput(name: name, value: "sha256:\(ContentDigest.of(turns))")
    }
}

extension TeacherPlan {
    /// The model behind the endpoints, or the address where the model is not named. For a checkpoint, the precision of
    /// its weights; its content is a separate input.
    var identities: [String] {
        if folder != nil { return ["a checkpoint in \(precision.rawValue)"] }
        let named = endpoints.map { $0.model ?? asking.model ?? $0.url }
        return Set(named.isEmpty ? [asking.model ?? ""] : named).sorted()
    }

    /// The precision of a checkpoint's weights on this machine.
    var precision: WeightPrecision { weights ?? .usual(on: .cpu) }

    /// The content of a checkpoint that answers in this process.
    func checkpoint(_ name: String, _ context: RunContext) throws -> [StageInput] {
        try folder.map { [try context.weights(name, $0)] } ?? []
    }

    /// What a teacher's trajectories depend on, besides the tasks.
    func inputs(_ context: RunContext) throws -> [StageInput] {
        var asking = asking
        asking.model = nil
        var inputs = try StageInput.settings("teacher", asking)
        inputs += [
            .text("teacher's model", identities.joined(separator: ", ")),
            .text("teacher.api", operation.rawValue),
            try .setting("teacher.tokenIDs", tokenIDs ?? true),
            // Usual ones are left out, because a replayed tape has no endpoints.
            .text(
                "teacher.prefill",
                Set(endpoints.map(\.prefill)).subtracting([.automatic]).map(\.rawValue).sorted().joined(separator: ", ")
            ),
        ]
        inputs += try checkpoint("teacher's weights", context)
        if operation == .completions, let template {
            inputs.append(try context.weights("teacher's template", template))
        }
        return inputs
    }
}
