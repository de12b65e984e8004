import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortStore

/// What the stages of a run share: the recipe, where things are kept, and what is opened when it is first needed.
struct RunContext: Sendable {
    let recipe: Recipe
    let folder: RunFolder
    let store: TrajectoryStore
    let source: TaskSource
    let digests: FileDigests
    let workshop: Workshop
    /// Whether trainings write their samples in addition to their losses.
    let keepsSamples: Bool
    /// How the work of stages is shared with other processes; nil where it is not.
    var sharing: (any WorkSharing)?

    /// The view that a style trains and acts in.
    func view(_ style: Recipe.Style) -> any View {
        view(style, instructions: .brief)
    }

    /// The view of a style with longer or shorter instructions.
    func view(_ style: Recipe.Style, instructions: Instructions) -> any View {
        switch style {
        case .agent, .agentWithFirstThought:
            CodeAgentView(
                instructions: instructions, tools: source.specifications, guidance: source.domain.guidance)
        case .toolAgent: roleView(.backbone, instructions: instructions)
        case .cot, .cotWithRetrieval:
            ChainOfThoughtView(instructions: instructions, guidance: source.domain.guidance)
        }
    }

    /// What a role of an agent that calls tools is shown of a trajectory.
    func roleView(
        _ role: AgentRole, instructions: Instructions, callForm: RoleView.CallForm = .json
    ) -> RoleView {
        RoleView(
            role, instructions: instructions, callForm: callForm, observationLimit: observationLimit,
            tools: source.toolDocuments, guidance: source.domain.guidance)
    }

    /// The most characters of an observation that agents of JSON calls and of roles are shown.
    var observationLimit: Int { recipe.observationLimit(in: source.domain) }

    /// Makes sessions for tasks.
    /// - Parameter tools: stand-ins for the host's tools; nil is the tools themselves.
    func sessions(
        _ form: ActionForm, tools: [any Tool]? = nil
    ) -> @Sendable (AgentTask) async throws -> any Environment {
        let (domain, workshop) = (source.domain, workshop)
        let tools = tools ?? domain.hostTools
        return { task in
            try await domain.session(for: task, form: form, tools: tools) { try await workshop.python() }
        }
    }

    /// Runs what a set lacks, and grades and stores each result as it finishes. What failed in an earlier run is run
    /// again.
    /// - Parameter phase: the number of this call for the set; calls have the same order whenever the stage is run.
    /// - Returns: how much failed, of everything that the jobs ask for.
    func collect(
        _ rollout: Rollout, _ jobs: [RolloutJob], in set: String, concurrency: Int, tries: Int = 1,
        budget: Budget? = nil, phase: Int = 0
    ) async throws -> StageOutcome {
        try await sharing?.open(set, phase: phase, into: set)
        let done = try await store.ids(in: set).subtracting(store.failedIDs(in: set))
        let left = jobs.filter { !done.contains(rollout.trajectoryID($0)) }
        let progress = SharedProgress(ProgressLine(set))
        let grader = try await workshop.grader()
        let store = store
        if let sharing {
            _ = try await sharing.share(
                left.map { (rollout.trajectoryID($0), $0) }, of: set, phase: phase, into: set, width: concurrency
            ) { id, job in
                let own = rollout.trajectoryID(job)
                guard own == id else {
                    throw FleetError.otherInputs(stage: set, differences: ["trajectory: \(id) there, \(own) here"])
                }
                return FleetResult(try await grader.graded(try await rollout.trajectory(for: job, tries: tries)))
            } lost: { job, reason in
                FleetResult(
                    StoredTrajectory(
                        trajectory: rollout.failure(of: job, reason),
                        verdict: Verdict(isCorrect: false, reason: "the run failed")))
            } took: {
                progress.show($0, of: left.count, budget)
            }
            return try await outcome(of: set)
        }
        try await rollout.run(left, concurrency: concurrency, tries: tries) { finished in
            var entries: [StoredTrajectory] = []
            for trajectory in finished { entries.append(try await grader.graded(trajectory)) }
            try await store.save(entries, in: set)
            progress.show(entries, of: left.count, budget)
        }
        return try await outcome(of: set)
    }

    /// How much of a set failed.
    func outcome(of set: String) async throws -> StageOutcome {
        try await StageOutcome(total: store.count(in: set), reasons: store.failureReasons(in: set))
    }

    /// How many of a set's items were graded, and how many could not be.
    /// - Parameter faults: why not, for each that could not be.
    func outcome(of set: String, ungraded faults: [String]) async throws -> StageOutcome {
        StageOutcome(total: try await store.count(in: set) + faults.count, reasons: faults)
    }

    /// Identifies a set's content.
    func content(of set: String, _ part: TrajectoryStore.Part = .graded) async throws -> String {
        try await store.digest(of: set, part) ?? "empty"
    }

    /// Removes a set that a stage made.
    /// - Throws: `RunError.imported` for an imported one.
    func remove(_ set: String) async throws {
        guard try await !store.isImported(set) else { throw RunError.imported(set: set) }
        try await sharing?.clear(set)
        try await store.remove(set: set)
    }
}

extension TrajectoryGrader {
    /// A run with its verdict. If the grader breaks, the run counts as failed, with the reason: neither right nor
    /// wrong.
    func graded(_ trajectory: Trajectory) async throws -> StoredTrajectory {
        switch try await verdict(on: trajectory) {
        case .success(let verdict): return StoredTrajectory(trajectory: trajectory, verdict: verdict)
        case .failure(let fault):
            var failed = trajectory
            failed.fail(fault.description)
            return StoredTrajectory(
                trajectory: failed, verdict: Verdict(isCorrect: false, reason: "the run failed"))
        }
    }

    /// The verdict on a run, or why the grader gave none.
    /// - Throws: errors that halt the run, `CancellationError`.
    func verdict(on trajectory: Trajectory) async throws -> Result<Verdict, GradingFault> {
        do {
            return .success(try await grade(trajectory))
        } catch let error as CancellationError {
            throw error
        } catch let error as any RunHalting where error.haltsRun {
            throw error
        } catch {
            return .failure(GradingFault(description: "it could not be graded: \(error)"))
        }
    }
}

/// Why a run has no verdict.
struct GradingFault: Error, CustomStringConvertible {
    let description: String
}

extension Recipe {
    /// The most characters of an observation that agents of JSON calls and of roles are shown: the recipe's, the
    /// domain's, or the usual number.
    func observationLimit(in domain: any Domain) -> Int {
        observationLimit ?? domain.observationLimit ?? RoleView.usualObservationLimit
    }
}

extension TaskSource {
    /// The tools as described to agents of roles, where tasks bring none of their own.
    var toolDocuments: [ToolDocument] { specifications.map { ToolDocument($0) } }
}
