import RetortCore

/// Grades mathematical tasks by value and all others by exact match.
public struct FamilyGrader: Grader, TrajectoryGrader {
    /// Which rules mathematical answers are graded by.
    public enum Compatibility: String, Codable, Sendable, CaseIterable {
        /// Retort's own: by value.
        case retort
        /// Those of the agent-distillation paper's scorer.
        case paper
    }

    private let factual: any Grader
    private let math: any Grader

    /// - Parameters:
    ///   - judge: decides what only algebra can; it is not used with the paper's rules.
    ///   - factual: grades all other answers; nil is exact match.
    public init(
        judge: SymbolicJudge? = nil, compatibility: Compatibility = .retort, factual: (any Grader)? = nil
    ) {
        self.factual = factual ?? ExactGrader()
        switch compatibility {
        case .retort: math = MathGrader(judge: judge)
        case .paper: math = PaperMathGrader()
        }
    }

    /// Grades by the task's family.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        task.family == .math ? await math.grade(answer, for: task) : await factual.grade(answer, for: task)
    }

    /// Grades the run's answer, or the absence of one by `Trajectory.verdictWithoutAnswer`.
    public func grade(_ trajectory: Trajectory) async -> Verdict {
        if let verdict = trajectory.verdictWithoutAnswer { return verdict }
        return await grade(trajectory.answer, for: trajectory.task)
    }
}

/// Grades a whole run: its answer, or the state that it left.
public protocol TrajectoryGrader: Sendable {
    /// Grades a run. A run that failed is never correct, whatever it left behind; one that gave up is correct only when
    /// the task cannot be solved and the agent itself decided to give up.
    /// - Throws: when the grader itself failed; there is no verdict then.
    func grade(_ trajectory: Trajectory) async throws -> Verdict
}

extension Trajectory {
    /// The verdict on a run without an answer; nil for one with an answer.
    public var verdictWithoutAnswer: Verdict? {
        switch ending {
        case .answered, .forced: nil
        case .gaveUp where !task.isSolvable && gaveUpByItself:
            Verdict(isCorrect: true, reason: "gave up what cannot be solved")
        case .gaveUp: Verdict(isCorrect: false, reason: "no answer")
        case .failed: Verdict(isCorrect: false, reason: "the run failed")
        case nil: Verdict(isCorrect: false, reason: "unfinished")
        }
    }

    /// Whether the agent decided to give up, instead of running out of steps.
    private var gaveUpByItself: Bool {
        if case .giveUp = steps.last?.action { true } else { false }
    }
}
