import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// A talk with an agent: questions, steps as they come, stopping, going back to a step and taking another way.
///
/// Each question is a trajectory of its own in a fresh session. Before each step the session is kept in a fork, so that going back finds the
/// variables and files as they were; what the outside world was told is not taken back. What was tried before from a step stays in the
/// record as its candidates.
///
/// ```swift
/// let talk = try AgentTalk(agent)
/// for try await event in try await talk.ask("Who has room 321?") { show(event) }
/// try await talk.back(to: 1)
/// for try await event in try await talk.goOn("Ask the front desk instead.") { show(event) }
/// ```
public actor AgentTalk {
    /// Something that cannot be done now.
    public enum Refusal: Error, Equatable, CustomStringConvertible {
        case busy
        case nothingAsked
        case ended
        case noStep(Int, count: Int)
        case notKept(Int)

        /// What went wrong, and what to do.
        public var description: String {
            switch self {
            case .busy: "the agent is at work; stop it first"
            case .nothingAsked: "nothing was asked yet"
            case .ended: "the run has ended; go back to a step, or ask something else"
            case .noStep(let step, let count):
                count == 0 ? "there is no step to go back to" : "there is no step \(step); the steps are 1 to \(count)"
            case .notKept(let step): "the session before step \(step) is not kept any more; ask again"
            }
        }
    }

    /// The most sessions that are kept for going back.
    private static let mostKept = 24
    /// How a step is drawn that is taken again by an agent that draws nothing itself.
    private static let temperature = 0.8

    public nonisolated let agent: Agent
    private let parts: AgentPlan.Parts
    private let way: AgentWay
    /// What happened to the last question, as far as it is.
    public private(set) var trajectory: Trajectory?
    /// The session after the last step; nil while it is to be taken from the fork before it.
    private var session: (any Environment)?
    /// The session before a step, by the step.
    private var kept: [Int: any Environment] = [:]
    /// What was tried from a step before, by the step.
    private var tried: [Int: [Candidate]] = [:]
    private var isBusy = false
    /// Whether a step is being taken, so that the session may have been left in the middle of one.
    private var isActing = false
    private var work: Task<Void, Never>?

    /// - Throws: `AgentError` for a way that has no meaning for the agent.
    public init(_ agent: Agent, _ way: AgentWay = AgentWay()) throws {
        self.agent = agent
        self.way = way
        parts = try agent.parts(way)
    }

    /// Works on a question, as events while it happens. Ending the iteration stops the work after which `goOn` and `back` are possible.
    /// - Throws: `Refusal.busy`.
    public func ask(_ question: String) async throws -> AsyncThrowingStream<RolloutEvent, any Error> {
        try await begin()
        await clear()
        trajectory = Trajectory(
            task: agent.task(question),
            provenance: Provenance(
                policy: parts.policy.name, model: parts.policy.modelIdentity, seed: parts.seed,
                prompt: parts.policy.promptIdentity, version: Retort.version))
        return events(remark: nil)
    }

    /// Goes on where it was stopped or went back to.
    /// - Parameter remark: what is said before the next step; nil for nothing.
    /// - Throws: `Refusal`.
    public func goOn(_ remark: String? = nil) async throws -> AsyncThrowingStream<RolloutEvent, any Error> {
        try await begin()
        guard let trajectory, trajectory.ending == nil else {
            isBusy = false
            throw trajectory == nil ? Refusal.nothingAsked : Refusal.ended
        }
        return events(remark: remark)
    }

    /// Goes back to before a step, and keeps what was done from there as something that was tried.
    /// - Parameter step: from 1.
    /// - Throws: `Refusal`.
    public func back(to step: Int) async throws {
        try await begin()
        defer { isBusy = false }
        guard let old = trajectory else { throw Refusal.nothingAsked }
        guard (1...max(old.steps.count, 1)).contains(step), !old.steps.isEmpty else {
            throw Refusal.noStep(step, count: old.steps.count)
        }
        let place = step - 1
        guard kept[place] != nil else { throw Refusal.notKept(step) }
        let left = old.steps[place]
        let before = left.candidates.isEmpty ? [Candidate(left)] : left.candidates
        tried[place] = before.map { candidate in
            var candidate = candidate
            candidate.chosen = false
            return candidate
        }
        for later in tried.keys where later > place { tried[later] = nil }
        var shorter = Trajectory(task: old.task, provenance: old.provenance, id: old.id)
        for step in old.steps.prefix(place) { shorter.append(step) }
        trajectory = shorter
        await session?.close()
        session = nil
        for later in kept.keys where later > place { await kept.removeValue(forKey: later)?.close() }
    }

    /// Saves what happened to the last question as a trajectory of a set.
    /// - Returns: its id.
    /// - Throws: `Refusal.nothingAsked`, `StoreError`.
    public func save(in store: TrajectoryStore, set: String) async throws -> String {
        guard var trajectory else { throw Refusal.nothingAsked }
        var attempt = 0
        func id() -> String { "\(trajectory.task.id)/\(trajectory.provenance.policy)/\(attempt)" }
        while try await store.contains(id: id(), in: set) { attempt += 1 }
        trajectory.provenance.attempt = attempt
        trajectory.id = id()
        try await store.save(trajectory, in: set)
        return trajectory.id
    }

    /// Ends its sessions. The agent stays open.
    public func close() async { await clear() }

    /// Takes the right to work. Work that was stopped a moment ago is waited for.
    private func begin() async throws {
        if let work, work.isCancelled { await work.value }
        guard !isBusy else { throw Refusal.busy }
        isBusy = true
    }

    private func clear() async {
        await session?.close()
        session = nil
        for fork in kept.values { await fork.close() }
        (kept, tried) = ([:], [:])
    }

    // MARK: Work

    private func events(remark: String?) -> AsyncThrowingStream<RolloutEvent, any Error> {
        let (stream, continuation) = AsyncThrowingStream<RolloutEvent, any Error>.makeStream()
        let task = Task {
            do {
                try await self.work(remark) { continuation.yield($0) }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
        work = task
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    private func work(_ remark: String?, _ emit: @escaping @Sendable (RolloutEvent) -> Void) async throws {
        defer { isBusy = false }
        guard var now = trajectory else { throw Refusal.nothingAsked }
        var remark = remark
        do {
            while now.ending == nil, now.steps.count < parts.maximumSteps {
                try Task.checkCancellation()
                emit(.stepStarted(now.steps.count))
                let step = try await take(now, remark, emit)
                // A model that is stopped may end in its own way; half a turn is no step.
                try Task.checkCancellation()
                remark = nil
                now.append(step)
                if let ending = step.ending { now.end(ending) }
                (trajectory, isActing) = (now, false)
                emit(.stepFinished(step))
            }
            if now.ending == nil { try await conclude(&now, emit) }
            if let state = try await session?.state(), state != .null { now.state = state }
        } catch {
            // A session that was left in the middle of a step is not gone on with: there is the fork from before it.
            if isActing {
                await session?.close()
                (session, isActing) = (nil, false)
            }
            if Task.isCancelled { throw CancellationError() }
            if let refusal = error as? Refusal { throw refusal }
            now.fail("\(error)")
        }
        trajectory = now
        emit(.finished(now))
    }

    /// Takes the next step.
    private func take(
        _ now: Trajectory, _ remark: String?, _ emit: @escaping @Sendable (RolloutEvent) -> Void
    ) async throws -> Step {
        let place = now.steps.count
        let current = try await currentSession(now, place)
        let before = tried[place] ?? []
        isActing = true
        guard remark != nil || !before.isEmpty else {
            let advance = try await parts.search.advance(
                now, policy: parts.policy, environment: current, seed: now.stepSeed, emit: emit)
            session = advance.environment
            return advance.step
        }
        var sampling = way.sampling ?? agent.plan.search.sampling
        if sampling.temperature == 0, !before.isEmpty { sampling.temperature = Self.temperature }
        sampling.seed = StableHash.of("\(now.stepSeed) \(before.count)")
        let request = ProposalRequest(count: 1, sampling: sampling, remark: remark)
        guard let proposal = try await parts.policy.propose(for: now, request, emit: emit).first else {
            throw LanguageModelError.sampleMissing(0)
        }
        let observation = try await current.perform(proposal.action)
        var step = Step(
            speaker: proposal.speaker, thought: proposal.thought, action: proposal.action, observation: observation,
            usage: proposal.usage, transcript: proposal.transcript, remarks: remark.map { [$0] },
            wording: proposal.wording)
        if !before.isEmpty {
            var own = Candidate(step)
            own.chosen = true
            step.candidates = before + [own]
        }
        return step
    }

    /// The session to act in, of which a fork is kept.
    private func currentSession(_ now: Trajectory, _ place: Int) async throws -> any Environment {
        if session == nil {
            if let before = kept[place] {
                session = try await before.fork()
                return session ?? before
            }
            guard place == 0 else { throw Refusal.notKept(place + 1) }
            session = try await agent.session(for: now.task, parts)
        }
        guard let session else { throw Refusal.notKept(place + 1) }
        if kept[place] == nil {
            // One that cannot be forked is only not gone back to.
            if let fork = try? await session.fork() { kept[place] = fork }
            try Task.checkCancellation()
            if kept.count > Self.mostKept, let oldest = kept.keys.min() {
                await kept.removeValue(forKey: oldest)?.close()
            }
        }
        return session
    }

    /// Asks for the answer when no steps are left.
    private func conclude(_ now: inout Trajectory, _ emit: @escaping @Sendable (RolloutEvent) -> Void) async throws {
        let none = "no answer after \(now.steps.count) steps"
        emit(.stepStarted(now.steps.count))
        guard let proposal = try await parts.policy.conclude(now, seed: now.stepSeed, emit: emit) else {
            return now.end(.gaveUp(none))
        }
        let observation =
            proposal.action.immediateObservation
            ?? Observation(text: "", outcome: .parseError("only an answer counts when no steps are left"))
        let step = Step(
            speaker: proposal.speaker, thought: proposal.thought, action: proposal.action, observation: observation,
            usage: proposal.usage, transcript: proposal.transcript, wording: proposal.wording)
        now.append(step)
        if case .answer(let answer) = proposal.action { now.end(.forced(answer)) } else { now.end(.gaveUp(none)) }
        emit(.stepFinished(step))
    }
}

extension Candidate {
    /// A step as something that was tried.
    fileprivate init(_ step: Step) {
        self.init(thought: step.thought, action: step.action, observation: step.observation)
    }
}
