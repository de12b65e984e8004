import RetortCore

/// Solves the API tasks through the real run loop: it calls, reads the result, retries busy APIs, switches to another
/// provider when one is dead, and gives up when none is left.
///
/// It knows each task's plan, but states a value only after a call for it has succeeded. On some training tasks it
/// makes a wrong call first and does better once it is told what it tried: this teaches a student to search with
/// backtracking.
public struct APITeacher: Policy {
    /// `teacher`.
    public let name = "teacher"
    /// Names the teacher in records: no language model is behind it.
    public let modelIdentity = "scripted API teacher"
    private let plans: [String: APIPlan]

    /// A teacher for these tasks only.
    public init(_ items: [APITasks.Item]) {
        plans = Dictionary(items.map { ($0.task.id, $0.plan) }, uniquingKeysWith: { first, _ in first })
    }

    /// The next call or the answer, `request.count` times the same.
    /// - Throws: `TeacherError.unknownTask` for a task that the teacher was not made with.
    public func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        guard let plan = plans[trajectory.task.id] else { throw TeacherError.unknownTask(trajectory.task.id) }
        let (thought, action) =
            astray(plan, trajectory, request) ?? next(plan, trajectory)
        return Array(
            repeating: Proposal(thought: thought, action: action, speaker: "planner"), count: request.count)
    }

    /// Nil: the teacher has no answer to give when its steps run out.
    public func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? { nil }

    /// The wrong step, where the plan has one: a call of an unneeded API, then giving up on its result.
    private func astray(
        _ plan: APIPlan, _ trajectory: Trajectory, _ request: ProposalRequest
    ) -> (thought: String, action: Action)? {
        let start = plan.isChain ? 1 : 0
        guard plan.strays, request.remark == nil, !trajectory.steps.contains(where: { $0.remarks != nil }) else {
            return nil
        }
        if trajectory.steps.count == start + 1 {
            return ("This leads nowhere.", .giveUp(reason: "This leads nowhere."))
        }
        guard trajectory.steps.count == start, start < plan.needs.count,
            let wrong = trajectory.task.tools.compactMap({ WorldAPI(name: $0.name) })
                .first(where: { api in !plan.needs.contains { $0.capability == api.capability } })
        else { return nil }
        let need = plan.needs[start]
        return ("I need \(need.phrase).", .toolCall(name: wrong.name, arguments: need.arguments))
    }

    private func next(
        _ plan: APIPlan, _ trajectory: Trajectory
    ) -> (thought: String, action: Action) {
        var learned = ""
        for (index, need) in plan.needs.enumerated() {
            let tries = trajectory.steps.filter { step in
                guard case .toolCall(let name, let arguments) = step.action else { return false }
                return WorldAPI(name: name)?.capability == need.capability && arguments == need.arguments
            }
            if tries.contains(where: { !$0.observation.outcome.isFailure }) {
                let said = need.value?.text ?? ""
                learned =
                    need.capability == .cancelOrder ? "Done: \(said). " : "\(need.phrase.capitalisedFirst) is \(said). "
                continue
            }
            return attempt(need, index, plan, tries, trajectory, learned)
        }
        return (learned + "That is all.", .answer(.string(plan.answer)))
    }

    /// The next attempt at a need: the same API again when it was busy, then the other ones, then giving up.
    private func attempt(
        _ need: APINeed, _ index: Int, _ plan: APIPlan, _ tries: [Step], _ trajectory: Trajectory, _ learned: String
    ) -> (thought: String, action: Action) {
        var lead = learned
        if let last = tries.last, let name = last.action.toolName {
            switch last.observation.outcome {
            case .executionError("Busy", _):
                return (
                    "It was busy. I try again. I need \(need.phrase).",
                    .toolCall(name: name, arguments: need.arguments)
                )
            case .executionError("NotFound", _):
                let reason = "It was not found: \(need.phrase)."
                return (reason, .giveUp(reason: reason))
            default: lead = "It is out of service. "
            }
        }
        let tried = Set(tries.compactMap(\.action.toolName))
        let offered = trajectory.task.tools.compactMap { WorldAPI(name: $0.name) }
        guard let api = offered.first(where: { $0.capability == need.capability && !tried.contains($0.name) }) else {
            let reason = "\(lead)No API tells \(need.phrase)."
            return (reason, .giveUp(reason: reason))
        }
        // The thought repeats what is still unknown, shortened by what was found, so that a small student can continue
        // from it.
        if tries.isEmpty, index == 0, plan.needs.count > 1 { lead = "Asked is \(plan.asked). " }
        if !tries.isEmpty { lead += "I use another. " }
        return ("\(lead)I need \(need.phrase).", .toolCall(name: api.name, arguments: need.arguments))
    }
}

extension String {
    /// With a capital letter at the beginning.
    fileprivate var capitalisedFirst: String { prefix(1).uppercased() + dropFirst() }
}
