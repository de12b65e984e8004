import RetortCore

/// ToolEval's pass rate (ToolLLM, arXiv 2307.16789, section 3.1): a model judges whether a run did what was asked.
///
/// A run without an ending of its own fails. Otherwise the judge says whether the answer solves the request, and
/// whether the request can be solved with the tools at all; each question is asked several times and the majority
/// counts. A solved request passes, and so does giving up on one that cannot be solved; where the judge is undecided,
/// the run counts one half instead of being decided by lot.
public struct PassJudge: Sendable {
    /// The result for a run.
    public struct Judgement: Codable, Sendable, Hashable {
        /// 0, ½ or 1.
        public var score: Double
        /// Whether the answer solves the request; nil where no answer was judged.
        public var solved: JudgeVotes?
        /// Whether the request can be solved; nil where it did not matter.
        public var solvable: JudgeVotes?
        /// The reason, in words.
        public var reason: String
    }

    private let panel: JudgePanel

    /// - Parameter votes: how often each question is asked; an odd number leaves fewer ties.
    public init(model: any LanguageModel, votes: Int = 3, temperature: Double = 0.7) {
        panel = JudgePanel(model: model, votes: votes, temperature: temperature)
    }

    /// Judges one run.
    /// - Throws: what the model throws.
    public func judge(_ trajectory: Trajectory) async throws -> Judgement {
        switch trajectory.ending {
        case .answered(let answer):
            let solved = try await ask(JudgeQuestion.solved(trajectory.task, answer.text), trajectory)
            if solved.score == 1 { return Judgement(score: 1, solved: solved, reason: "solved") }
            let score = solved.isTie ? 0.5 : 0
            return Judgement(score: score, solved: solved, reason: solved.isTie ? "undecided" : "not solved")
        case .gaveUp where trajectory.steps.last?.ending != nil:
            let solvable = try await ask(JudgeQuestion.solvable(trajectory), trajectory)
            let score = 1 - solvable.score
            let reason =
                solvable.isTie
                ? "undecided" : score == 1 ? "gave up what cannot be solved" : "gave up what can be solved"
            return Judgement(score: score, solvable: solvable, reason: reason)
        case .forced, .gaveUp, .failed, nil: return Judgement(score: 0, reason: "no ending of its own")
        }
    }

    private func ask(_ question: String, _ trajectory: Trajectory) async throws -> JudgeVotes {
        try await panel.votes(on: question, yes: "yes", no: "no", or: "unsure", seed: "\(trajectory.id) \(question)")
    }
}
