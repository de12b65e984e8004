/// Runs stages in order: it skips those whose results were made from the present inputs, continues interrupted ones,
/// tries again what failed, and makes the others again.
///
/// An outdated result is first marked as such, then removed, then made, then marked as done. A run that is killed
/// between any two of these steps, or in one of them, leaves nothing that could be taken for a result of other inputs.
actor Scheduler {
    /// The records by stage name.
    private(set) var records: [String: StageRecord]
    /// The share of a stage's items that may fail, in 0…1.
    private let failureLimit: Double
    private let planner: FleetPlanner?
    private let save: @Sendable ([String: StageRecord]) throws -> Void

    /// - Parameters:
    ///   - planner: is informed of each stage before and after its work; nil where work is not shared.
    ///   - save: writes the records, completely or not at all.
    init(
        _ records: [String: StageRecord], failureLimit: Double, planner: FleetPlanner? = nil,
        save: @escaping @Sendable ([String: StageRecord]) throws -> Void
    ) {
        self.records = records
        self.failureLimit = failureLimit
        self.planner = planner
        self.save = save
    }

    // MARK: What is to be done

    /// What a run would do. Nothing is changed.
    func plan(_ stages: [any Stage]) async throws -> StagePlan {
        var plan = StagePlan(entries: [])
        for stage in stages {
            let action = try await action(for: stage) { plan[$0] }
            plan.entries.append(.init(stage: stage.name, action: action))
        }
        return plan
    }

    /// - Parameter planned: what is done with an earlier stage; nil when that is over.
    private func action(
        for stage: any Stage, _ planned: (String) -> StagePlan.Action?
    ) async throws -> StagePlan.Action {
        guard let record = records[stage.name] else { return .make }
        // The outputs of earlier stages with work to do are not known yet.
        let open = stage.sources.filter { planned($0).map { $0 != .keep } ?? false }
        let expected = try await inputs(of: stage, without: Set(open))
        var known = record.inputs
        for source in open { known["stage \(source)"] = nil }
        let changed = Set(expected.keys).union(known.keys).filter { expected[$0] != known[$0] }
        guard changed.isEmpty else { return .remake(changed.sorted()) }
        let remade = open.filter { planned($0)?.isStale == true }
        guard remade.isEmpty else { return .follow(remade) }
        if record.state == .running { return open.isEmpty ? .resume : .mayFollow(open) }
        let content = try await stage.output()
        guard content != nil, content == record.content else { return .replace }
        if record.state == .partial { return .retry(record.failed) }
        return open.isEmpty ? .keep : .mayFollow(open)
    }

    private func inputs(of stage: any Stage, without open: Set<String> = []) async throws -> [String: String] {
        let others = stage.sources.filter { !open.contains($0) }.map {
            StageInput(name: "stage \($0)", value: records[$0]?.output ?? "none")
        }
        return Self.named(try await stage.inputs() + others)
    }

    /// Inputs by name; those with the same name are combined.
    static func named(_ inputs: [StageInput]) -> [String: String] {
        Dictionary(inputs.map { ($0.name, $0.value) }, uniquingKeysWith: { "\($0) \($1)" })
    }

    // MARK: Doing it

    /// Runs stages, each after those before it.
    /// - Parameter begin: is called with the plan, after outdated results are marked and before anything is run.
    /// - Throws: errors of a stage, and `RunError.tooManyFailures`.
    func run(_ stages: [any Stage], begin: @Sendable (StagePlan) throws -> Void = { _ in }) async throws {
        let plan = try await plan(stages)
        for entry in plan.entries where entry.action.isStale { records[entry.stage] = nil }
        try save(records)
        try begin(plan)
        for stage in stages {
            try Task.checkCancellation()
            try await run(stage)
        }
    }

    private func run(_ stage: any Stage) async throws {
        let action = try await action(for: stage) { _ in nil }
        guard action != .keep else { return }
        if action.isStale {
            if records[stage.name] != nil {
                records[stage.name] = nil
                try save(records)
            }
            try await stage.clear()
        }
        let inputs = try await inputs(of: stage)
        var record = records[stage.name] ?? StageRecord(inputs)
        record.state = .running
        records[stage.name] = record
        try save(records)
        let start = ContinuousClock.now
        try planner?.enter(stage.name, inputs: inputs, models: stage.models)
        let outcome = try await stage.run()
        try await planner?.leave(stage.name)
        let seconds = start.duration(to: .now) / .seconds(1)
        record.end(outcome, content: try await stage.output(), seconds: seconds)
        records[stage.name] = record
        dropFollowers(of: stage.name)
        try save(records)
        guard Double(outcome.failed) <= failureLimit * Double(outcome.total) else {
            throw RunError.tooManyFailures(stage.name, outcome, limit: failureLimit)
        }
    }

    /// Marks as outdated what was made from an earlier output of a stage, and everything made from that.
    private func dropFollowers(of stage: String) {
        let key = "stage \(stage)"
        let followers = records.filter { $0.value.inputs[key] != nil && $0.value.inputs[key] != records[stage]?.output }
        for follower in followers.keys {
            records[follower] = nil
            dropFollowers(of: follower)
        }
    }
}
