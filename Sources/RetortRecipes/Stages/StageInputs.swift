import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortLLM

/// What stages have in common to depend on.
extension RunContext {
    /// What every stage depends on.
    func common() throws -> [StageInput] { [.computation, try .setting("seed", recipe.seed)] }

    /// The tasks that a teacher works on, or has worked on.
    func trainingTasks() throws -> [StageInput] {
        switch recipe.source {
        case .world(let plan): return try world(plan)
        case .recorded(let plan):
            return [
                try file("recorded trajectories", plan.trajectories), try .setting("recorded.train", plan.train),
            ]
        case .apis(let plan): return try StageInput.settings("apis", plan)
        }
    }

    /// The tasks that students are measured on. How many is a matter of the evaluation's plan.
    func testTasks() throws -> [StageInput] {
        // What is trained on is left out of the tests.
        var inputs = try trainingTasks()
        if case .recorded(let plan) = recipe.source {
            for (number, test) in plan.tests.enumerated() {
                inputs += [
                    try file("test file \(number + 1)", test.file),
                    .text("test file \(number + 1)'s kind", "\(test.family.rawValue) \(test.split)"),
                ]
            }
        }
        guard let plan = recipe.benchmarks else { return inputs }
        inputs += try StageInput.settings("benchmarks", plan).filter { $0.name != "benchmarks.folder" }
        for name in plan.names {
            let benchmark = try Benchmark.named(name)
            inputs.append(try file("benchmark \(name)", "\(plan.folder)/\(benchmark.file)"))
        }
        return inputs
    }

    /// The world but for how its teacher slips and what a search returns.
    private func world(_ plan: Recipe.WorldPlan) throws -> [StageInput] {
        try StageInput.settings("world", plan).filter { !["world.noise", "world.passages"].contains($0.name) }
            .filter { !$0.name.hasPrefix("world.noise.") }
    }

    /// The tools that agents are given, and the documents that they search.
    func tools() throws -> [StageInput] {
        var inputs = [try StageInput.setting("tools", source.tools.map(\.specification))]
        if let documents = source.documents {
            inputs.append(StageInput(name: "documents", value: "sha256:\(try digests.file(documents))"))
        }
        if case .world(let plan) = recipe.source { inputs.append(try .setting("world.passages", plan.passages)) }
        return inputs
    }

    /// What grades.
    func grading() -> StageInput { .text("grading", recipe.benchmarks?.compatibility.rawValue ?? "values") }

    /// A base's or a teacher's weights, tokenizer and template.
    func weights(_ name: String, _ folder: String) throws -> StageInput {
        StageInput(name: name, value: "sha256:\(try digests.model(URL(fileURLWithPath: folder)))")
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
    /// Who answers behind the endpoints: the model, or the address where nobody says which it is. Of a checkpoint, how its weights are
    /// held; its content is an input of its own.
    var identities: [String] {
        if folder != nil { return ["a checkpoint in \(precision.rawValue)"] }
        let named = places.map { $0.model ?? asking.model ?? $0.url }
        return Set(named.isEmpty ? [asking.model ?? ""] : named).sorted()
    }

    /// How a checkpoint's weights are held, here.
    var precision: WeightPrecision { weights ?? .usual(on: .cpu) }

    /// The content of a checkpoint that answers in this process.
    func checkpoint(_ name: String, _ context: RunContext) throws -> [StageInput] {
        try folder.map { [try context.weights(name, $0)] } ?? []
    }

    /// What a teacher's trajectories depend on, but for the tasks.
    func inputs(_ context: RunContext) throws -> [StageInput] {
        var asking = asking
        asking.model = nil
        var inputs = try StageInput.settings("teacher", asking)
        inputs += [
            .text("teacher's model", identities.joined(separator: ", ")),
            .text("teacher.api", operation.rawValue),
            try .setting("teacher.tokenIDs", tokenIDs ?? true),
            // Usual ones are left out: a tape that is replayed has no endpoints.
            .text(
                "teacher.prefill",
                Set(places.map(\.prefill)).subtracting([.automatic]).map(\.rawValue).sorted().joined(separator: ", ")),
        ]
        inputs += try checkpoint("teacher's weights", context)
        if operation == .completions, let template {
            inputs.append(try context.weights("teacher's template", template))
        }
        return inputs
    }
}
