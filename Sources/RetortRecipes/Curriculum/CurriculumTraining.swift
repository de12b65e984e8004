import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortStore
import RetortWorld

/// A stage's weights.
struct TrainedStage: Sendable, Hashable {
    /// The folder of a whole model, or of an adapter.
    let folder: URL
    /// What an adapter belongs to; nil for whole models.
    let base: URL?
    /// Of all it depends on.
    let hash: String

    /// A folder with whole weights, for stages that go on from here.
    var whole: URL { base == nil ? folder : folder.appendingPathComponent("merged") }
}

extension RecipeRun {
    /// Where the API teacher's trajectories are stored.
    private static let apiTeachSet = "teach/apis"

    /// What a call looks like: the recorded trajectories are programs.
    var callForm: RoleView.CallForm { source.apis == nil ? .program : .json }

    /// Collects what the roles learn from.
    /// - Returns: the stage's hash.
    func teachRoles() async throws -> String { source.apis == nil ? try await teach(.agent) : try await teachAPIs() }

    /// Where that is stored.
    private var roleTeachSet: String { source.apis == nil ? Self.teachSet(.agent) : Self.apiTeachSet }

    /// The curricula as the recipe lists them, then those on parts of the tasks.
    var allCurricula: [Curriculum] {
        let plain = recipe.curricula ?? []
        guard let plan = recipe.evaluation.roles else { return plain }
        return plain
            + plain.filter { plan.scaled.contains($0.name) }.flatMap { curriculum in
                plan.shares.map { curriculum.scaled(to: $0) }
            }
    }

    /// Lets the scripted teacher solve the training tasks with the APIs, some of them by a search that goes back.
    /// - Returns: the stage's hash.
    private func teachAPIs() async throws -> String {
        let set = Self.apiTeachSet
        let hash = try Self.hash(recipe.source, recipe.seed, set)
        guard let apis = source.apis else { return hash }
        try await stage(set, hash: hash) {
            try await store.remove(set: set)
        } body: {
            let straight = apis.train.filter { !apis.isSearched($0) }.map(\.task)
            let searched = apis.train.filter(apis.isSearched).map(\.task)
            let seed = recipe.seed
            func teach(_ tasks: [AgentTask], _ search: any Search) async throws {
                let rollout = Rollout(
                    policy: apis.teacher, search: search, maximumSteps: 8, seed: seed,
                    environmentFor: { apis.session(for: $0) })
                try await collect(rollout, tasks.map { RolloutJob($0) }, in: set, concurrency: 8)
            }
            try await teach(straight, GreedySearch())
            try await teach(searched, DepthFirstSearch(reminder: .kept))
        }
        return hash
    }

    /// Trains the stages of a curriculum.
    /// - Parameter known: stages that were trained before, by hash; one that is the same is not trained again.
    /// - Returns: who plays each role.
    func train(
        _ student: Recipe.Student, _ curriculum: Curriculum, known: inout [String: TrainedStage], after upstream: String
    ) async throws -> [AgentRole: TrainedStage] {
        var trained: [String: TrainedStage] = [:]
        for stage in curriculum.stages {
            let parent = stage.from.flatMap { trained[$0] }
            let hash = try Self.hash(
                student, stage.roles, stage.tasks, stage.plan, parent?.hash ?? Self.fingerprint(student.base), upstream)
            if known[hash] == nil {
                known[hash] = try await train(student, curriculum, stage, parent: parent, hash: hash)
            }
            trained[stage.name] = known[hash]
        }
        return curriculum.players.compactMapValues { trained[$0.name] }
    }

    private func train(
        _ student: Recipe.Student, _ curriculum: Curriculum, _ stage: Curriculum.Stage, parent: TrainedStage?,
        hash: String
    ) async throws -> TrainedStage {
        let label = "\(curriculum.name).\(stage.name)"
        let target = folder.url.appendingPathComponent("checkpoints/\(student.name)/\(label)")
        let base = parent?.whole ?? URL(fileURLWithPath: student.base)
        let name = "train/\(student.name)/\(label)"
        try await self.stage(name, hash: hash) {
            try? FileManager.default.removeItem(at: target)
        } body: {
            let entries = try await store.entries(in: roleTeachSet)
            let (kept, dropped) = TrajectoryFilter(recipe.filter ?? FilterPlan()).split(entries)
            try AtomicFile.write(JSONCoding.prettyEncoder.encode(dropped), to: folder.result("filter-roles"))
            let seen = Array(stage.tasks.of(inTaskOrder(kept)))
            guard !seen.isEmpty else { throw RunError.nothingToTrainOn(style: label, of: entries.count) }
            let job = TrainingJob(
                name: name, base: base, trajectories: seen,
                views: stage.roles.map { RoleView($0, instructions: .brief, callForm: callForm) }, plan: stage.plan,
                target: target, lossFile: folder.result("loss-\(student.name)-\(label)"),
                keepsSamples: keepsSamples)
            let thread = TrainingThread()
            // Another curriculum may have trained the parent, and gone on from it or not.
            if let parent, let below = parent.base {
                try await thread.merge(parent.folder, into: below, to: parent.whole)
            }
            try await thread.run(job)
        }
        if case .lora = stage.plan.configuration.method {
            return TrainedStage(folder: target, base: base, hash: hash)
        }
        return TrainedStage(folder: target, base: nil, hash: hash)
    }

    /// Shares are of the tasks as they were made, whatever their ids sort like.
    private func inTaskOrder(_ trajectories: [Trajectory]) -> [Trajectory] {
        let places = Dictionary(
            source.train.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        return trajectories.sorted { places[$0.task.id] ?? 0 < places[$1.task.id] ?? 0 }
    }
}
