import RetortCore

/// ToolEval's win rate (ToolLLM, arXiv 2307.16789, section 3.1): which of two runs for the same request did better.
///
/// A run that passed beats one that failed; the judge is not asked. Otherwise the judge compares both, in both orders,
/// several times each; a preference that changes with the order cancels out and counts one half.
public struct WinJudge: Sendable {
    /// The outcome of a comparison.
    public struct Judgement: Codable, Sendable, Hashable {
        /// 1 when the first run wins, 0 when the second does, ½ for a tie.
        public var score: Double
        /// Preferences for the first run, for the second, and undecided; nil where passing decided.
        public var votes: JudgeVotes?
    }

    private let panel: JudgePanel

    /// - Parameter votes: the number of comparisons in each order.
    public init(model: any LanguageModel, votes: Int = 3, temperature: Double = 0.7) {
        panel = JudgePanel(model: model, votes: votes, temperature: temperature)
    }

    /// Compares two runs.
    /// - Parameter passes: the pass judge's score for each: 0, ½ or 1.
    /// - Throws: `JudgeError.differentTasks`, and what the model throws.
    public func compare(
        _ first: Trajectory, _ second: Trajectory, passes: (first: Double, second: Double)
    ) async throws -> Judgement {
        guard first.task.question == second.task.question else {
            throw JudgeError.differentTasks(first.task.id, second.task.id)
        }
        if passes.first == 1, passes.second == 0 { return Judgement(score: 1) }
        if passes.first == 0, passes.second == 1 { return Judgement(score: 0) }
        let forward = try await prefer(first, second)
        let backward = try await prefer(second, first)
        let all = JudgeVotes(
            yes: forward.yes + backward.no, no: forward.no + backward.yes, unsure: forward.unsure + backward.unsure)
        return Judgement(score: all.score, votes: all)
    }

    /// Votes for the run that is shown first count as `yes`.
    private func prefer(_ one: Trajectory, _ other: Trajectory) async throws -> JudgeVotes {
        try await panel.votes(
            on: JudgeQuestion.better(one, other), yes: "a", no: "b", or: "equal", seed: "\(one.id) \(other.id)")
    }
}

/// Runs that cannot be judged, or were not.
public enum JudgeError: Error, CustomStringConvertible, Equatable {
    /// The two runs, by their tasks' ids, are for different requests.
    case differentTasks(String, String)
    /// The task with this id has no expected calls.
    case noReference(String)
    /// None of a judge's replies holds a vote; `reply` is the first one.
    case noVote(reply: String)

    /// A message for users: what is wrong, and what to do.
    public var description: String {
        switch self {
        case .differentTasks(let first, let second):
            "'\(first)' and '\(second)' are different requests; compare runs for the same one"
        case .noReference(let task): "the calls that solve '\(task)' are not known; judge tasks of ToolAlpaca's sets"
        case .noVote(let reply):
            "the judge wrote nothing that is a vote: \(reply.prefix(200)); take a model that writes JSON, and does not "
                + "think at length before it"
        }
    }
}
