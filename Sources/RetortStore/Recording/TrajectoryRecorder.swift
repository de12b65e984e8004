import RetortAgents
import RetortCore

/// Joins the recorded calls of models into trajectories, by their common beginnings, and saves each at once.
///
/// A request whose messages begin with an earlier request and its reply continues that run. Requests that begin alike
/// and then differ are runs of their own, and so is one whose history the client changed: it records where it came
/// from. A failed call ends its run as failed until the same request is made again.
///
/// ```swift
/// let recorder = try await TrajectoryRecorder(store)
/// try await recorder.record(request, .success(replies), seconds: 1.5)
/// ```
public actor TrajectoryRecorder {
    /// The set that recordings are saved in.
    public static let set = "recorded"
    /// The most runs that can be continued; older ones are only kept in the store.
    private static let mostRuns = 4096
    private static let key = "recorded"

    private let store: TrajectoryStore
    private let set: String
    /// The runs, the most recently continued last.
    private var runs: [RecordedRun] = []
    private var attempts: [String: Int] = [:]

    /// Continues with the recordings in a store.
    /// - Throws: `StoreError`.
    public init(_ store: TrajectoryStore, set: String = TrajectoryRecorder.set) async throws {
        self.store = store
        self.set = set
        for try await entry in store.trajectories(in: set, order: .asSaved) {
            let trajectory = entry.trajectory
            attempts[trajectory.task.id] = max(
                attempts[trajectory.task.id] ?? 0, trajectory.provenance.attempt + 1)
            guard let state = trajectory.task.metadata[Self.key],
                let run = try? ExactJSON.decode(RecordedRun.self, from: state)
            else { continue }
            runs.append(run)
            if runs.count > Self.mostRuns { runs.removeFirst() }
        }
    }

    /// Records a finished call, and saves its run.
    /// - Parameters:
    ///   - replies: the model's answers, or why there is none.
    ///   - seconds: how long the call took.
    /// - Throws: `StoreError`; `RecordingError.unreadable` for a call that cannot become part of a trajectory.
    public func record(
        _ request: RecordedRequest, _ replies: Result<[Dialogue.Reply], RecordingError>, seconds: Double
    ) async throws {
        switch replies {
        case .failure(let error):
            var run = take(request)
            run.failures.append(error.description)
            run.isFailed = true
            try await keep(run, request)
        case .success(let replies):
            for (index, reply) in replies.enumerated() {
                // Each of several choices is a run; the first continues the existing one.
                var run = index == 0 ? take(request) : begin(request, from: nil)
                if index > 0, let known = runs.last { run.calls = known.calls.dropLast() }
                var reply = reply
                if index == 0 { reply.usage.seconds = seconds }
                run.isFailed = false
                run.calls.append(
                    RecordedRun.Call(messages: request.messages.count, reply: reply, length: run.words?.utf8.count))
                try await keep(run, request)
            }
        }
    }

    /// The run that a request continues, removed from the runs, or a new one.
    private func take(_ request: RecordedRequest) -> RecordedRun {
        let matches = runs.enumerated().compactMap { index, run in run.match(request).map { (index, run, $0) } }
        let best = matches.max { left, right in
            // The longest history, then the closest version of the reply, then the run that has waited longest.
            (left.1.digests.count, left.2, right.0) < (right.1.digests.count, right.2, left.0)
        }
        if let best {
            var run = runs.remove(at: best.0)
            (run.digests, run.instructions) = (request.digests, request.instructions)
            run.words = request.words(request.messages.count - 1)
            return run
        }
        let origin = runs.compactMap { $0.divergence(request) }.max { $0.messages < $1.messages }
        return begin(request, from: origin)
    }

    private func begin(_ request: RecordedRequest, from origin: RecordedRun.Origin?) -> RecordedRun {
        RecordedRun(
            id: "", digests: request.digests, instructions: request.instructions,
            words: request.words(request.messages.count - 1), from: origin)
    }

    private func keep(_ given: RecordedRun, _ request: RecordedRequest) async throws {
        var run = given
        let told: DialogueSteps
        do throws(RecordRejection) {
            told = try DialogueSteps(run.dialogue(request))
        } catch {
            throw RecordingError.unreadable(error.reason)
        }
        let task = DialogueTask(
            id: "recorded-\(String(StableHash.of(told.question), radix: 16))", policy: "recorded", model: request.model,
            tools: request.tools
        )
        if run.id.isEmpty {
            let attempt = attempts[task.id] ?? 0
            attempts[task.id] = attempt + 1
            run.id = "\(task.id)/\(task.policy)/\(attempt)"
        }
        runs.append(run)
        if runs.count > Self.mostRuns { runs.removeFirst() }
        try await store.save(try trajectory(run, told, task), in: set)
    }

    private func trajectory(_ run: RecordedRun, _ told: DialogueSteps, _ given: DialogueTask) throws -> Trajectory {
        let attempt = run.id.split(separator: "/").last.flatMap { Int($0) } ?? 0
        var task = given.task(told)
        task.metadata[Self.key] = try ExactJSON.tree(run)
        var trajectory = Trajectory(
            task: task,
            provenance: Provenance(
                policy: given.policy, model: given.model, attempt: attempt, version: Retort.version), id: run.id)
        for step in told.steps { trajectory.append(step) }
        if run.isFailed, let reason = run.failures.last {
            trajectory.end(.failed(reason))
        } else if let ending = told.ending {
            trajectory.end(ending)
        }
        return trajectory
    }
}
