import RetortCore

/// Lets a language model judge a run by a rubric: for tasks that have no reference answer, or more than one could list.
///
/// The model is shown the rubric, the task, its reference answers where there are any, what was done, the answer and the
/// state that is left. Several votes are drawn and the majority decides; a vote that cannot be read counts for nothing. The
/// question depends on the run alone, so a cassette around the model is a lasting cache.
public final class RubricJudge: Sendable {
    private let panel: JudgePanel

    /// - Parameters:
    ///   - votes: an odd number, so that there is a majority; one vote is greedy.
    ///   - temperature: of several votes.
    public init(_ model: any LanguageModel, votes: Int = 3, temperature: Double = 0.7) {
        panel = JudgePanel(model: model, votes: votes, temperature: temperature)
    }

    /// Judges a run.
    /// - Throws: what the model throws; `RubricError` when it did not decide. Neither is a verdict.
    public func judge(_ run: Trajectory, by rubric: String) async throws -> Verdict {
        let question = JudgeQuestion.rubric(run, rubric)
        let replies = try await panel.replies(to: question, seed: question)
        let read = replies.map { ModelJudge.read($0) }
        let (yes, no) = (read.count { $0?.correct == true }, read.count { $0?.correct == false })
        guard yes != no else {
            throw yes == 0
                ? RubricError.unreadable(task: run.task.id, reply: replies.first ?? "")
                : RubricError.tied(task: run.task.id, votes: yes)
        }
        let reason = read.compactMap { $0 }.first { $0.correct == (yes > no) }?.reason ?? ""
        return Verdict(isCorrect: yes > no, reason: "judged by \(yes) to \(no): \(reason)")
    }
}

/// A judge that came to no verdict.
public enum RubricError: Error, CustomStringConvertible, Equatable {
    case unreadable(task: String, reply: String)
    case tied(task: String, votes: Int)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .unreadable(let task, let reply):
            "the judge of task '\(task)' wrote nothing that is a vote: \(reply.prefix(200))"
        case .tied(let task, let votes): "the judge's votes on task '\(task)' are tied at \(votes)"
        }
    }
}
