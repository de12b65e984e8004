import Foundation
import RetortCore
import RetortEvaluation
import RetortHub
import RetortLLM
import RetortStore
import RetortTensor
import RetortTraining

/// Checks everything that a recipe names before anything is spent: bases, files, keys, tapes, and the projections that
/// adapters are placed beside. Tasks and recorded trajectories were read when the run was opened.
struct RecipeCheck {
    private let recipe: Recipe
    /// Whether models that a run would fetch may be missing.
    private let awaitsModels: Bool

    /// - Parameter awaitsModels: whether models that are given by a name on the hub need not be on this machine yet.
    init(_ context: RunContext, awaitsModels: Bool = false) {
        recipe = context.recipe
        self.awaitsModels = awaitsModels
    }

    /// - Parameter goal: what is only needed after it is not checked.
    /// - Throws: `RunError.unusable` with everything that was found.
    func run(until goal: RecipeRun.Goal) throws {
        let faults = faults(until: goal)
        guard faults.isEmpty else { throw RunError.unusable(faults) }
    }

    /// Everything that is missing or cannot be used, for people.
    func faults(until goal: RecipeRun.Goal) -> [String] {
        var faults = recipe.teacher.map { teacher($0, "teacher") } ?? []
        // A domain's judge also grades the teacher's work.
        if let judge = recipe.judge, goal >= .evaluate || recipe.domain.isJudged {
            faults += teacher(judge.access, "judge")
        }
        if goal >= .train || recipe.training.isEmpty && recipe.curricula == nil {
            for student in recipe.students { faults += base(of: student) }
        }
        if goal >= .evaluate {
            if let plan = recipe.benchmarks { faults += benchmarks(plan) }
        }
        return faults
    }

    /// The message of an attempt that fails; empty when it succeeds.
    private func fault(_ name: String, _ attempt: () throws -> Void) -> [String] {
        do {
            try attempt()
            return []
        } catch CheckpointError.noBase(_, let base) where willBeFetched(base) {
            return []
        } catch {
            return ["\(name): \(error)"]
        }
    }

    /// Whether a model is not on this machine, and a run would fetch it by its name.
    private func willBeFetched(_ model: String) -> Bool {
        guard awaitsModels else { return false }
        do { return try ModelLocator().find(model) == nil } catch { return false }
    }

    private func teacher(_ plan: TeacherPlan, _ name: String) -> [String] {
        var faults: [String] = []
        // A replayed tape asks no endpoint, and needs no key.
        if let tape = plan.cassette, tape.mode == .replay {
            faults += fault(name) { _ = try Cassette(URL(fileURLWithPath: tape.file), .replay) }
        } else {
            for place in plan.endpoints { faults += fault(name) { _ = try place.endpoint(model: "") } }
        }
        if let folder = plan.folder, plan.cassette?.mode != .replay, !willBeFetched(folder) {
            faults += fault(name) {
                try Checkpoint(folder: URL(fileURLWithPath: folder)).checkWeights()
            }
        }
        if plan.operation == .completions, let template = plan.template, !willBeFetched(template) {
            faults += fault("\(name)'s template") { _ = try Checkpoint(folder: URL(fileURLWithPath: template)) }
        }
        return faults
    }

    private func base(of student: Recipe.Student) -> [String] {
        let folder = URL(fileURLWithPath: student.base)
        guard FileManager.default.fileExists(atPath: folder.path) else {
            if willBeFetched(student.base) { return [] }
            return ["student '\(student.name)': its base \(folder.path) is not there; check the path"]
        }
        return fault("student '\(student.name)'") {
            let checkpoint = try Checkpoint(folder: folder)
            try checkTokenizer(checkpoint)
            // Only the headers of the files are read.
            try checkpoint.checkWeights()
            for (name, targets) in adapterTargets {
                try LoRATargets.check(targets, among: checkpoint.configuration.projectionNames, training: name)
            }
        }
    }

    /// A teacher whose probabilities are learned must have the same tokens as the student.
    private func checkTokenizer(_ student: Checkpoint) throws {
        guard let folder = recipe.teacher?.folder, !willBeFetched(folder),
            recipe.rounds?.values.joined().contains(where: { $0.distance != nil }) == true
        else { return }
        let teacher = try Checkpoint(folder: URL(fileURLWithPath: folder))
        guard teacher.tokenizer.hasSameTokens(as: student.tokenizer) else { throw OtherTokenizer(teacher: folder) }
    }

    private struct OtherTokenizer: Error, CustomStringConvertible {
        let teacher: String

        var description: String {
            "'distance' compares probabilities of the same tokens, and the teacher \(teacher) has another tokenizer; take a teacher "
                + "of the student's family, or 'repair', which takes any"
        }
    }

    /// The targets of all trainings with adapters, by their paths in the recipe.
    private var adapterTargets: [(name: String, targets: [String])] {
        let plans =
            recipe.training.map { ("training.\($0.key.rawValue)", $0.value) }
            + (recipe.curricula ?? []).flatMap { curriculum in
                curriculum.stages.map { ("\(curriculum.name).\($0.name)", $0.plan) }
            }
        return plans.sorted { $0.0 < $1.0 }.compactMap { name, plan in
            guard case .lora(let lora) = plan.configuration.method else { return nil }
            return lora.targets.map { (name, $0) }
        }
    }

    private func benchmarks(_ plan: Recipe.BenchmarkPlan) -> [String] {
        plan.names.flatMap { name in
            fault("benchmarks") {
                _ = try Benchmark.named(name).questions(in: URL(fileURLWithPath: plan.folder))
            }
        }
    }
}

/// The names of projections that adapters can be placed beside.
enum LoRATargets {
    /// Targets that match no projection of a model.
    struct Refusal: Error, CustomStringConvertible {
        let training: String
        let targets: [String]
        /// The names of a model's projections.
        let among: [String]

        var description: String {
            "\(training): no adapter can be trained beside \(targets.map { "'\($0)'" }.joined(separator: ", ")); "
                + "'targets' takes projections: \(LoRATargets.lastNames(among).joined(separator: ", "))"
        }
    }

    /// The names of projections in their modules, each once, in the order of a layer.
    static func lastNames(_ names: [String]) -> [String] {
        names.compactMap { $0.split(separator: ".").last.map(String.init) }.reduce(into: []) { known, name in
            if !known.contains(name) { known.append(name) }
        }
    }

    /// - Throws: `Refusal` with the targets that name no projection.
    static func check(_ targets: [String], among names: [String], training: String) throws {
        let strange = targets.filter { target in
            !names.contains { AdapterConfiguration.target(target, names: $0) }
        }
        guard strange.isEmpty else { throw Refusal(training: training, targets: strange, among: names) }
    }
}
