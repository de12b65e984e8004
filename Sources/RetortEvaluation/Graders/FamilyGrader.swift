import RetortCore

/// Grades factual tasks by exact match and mathematical ones by value.
public struct FamilyGrader: Grader, TrajectoryGrader {
    /// Whose verdicts mathematical answers get.
    public enum Compatibility: String, Codable, Sendable, CaseIterable {
        /// Retort's own: by value.
        case retort
        /// Those of the agent-distillation paper's scorer.
        case paper
    }

    private let factual: any Grader
    private let math: any Grader

    /// - Parameters:
    ///   - judge: decides what only algebra can.
    ///   - factual: grades factual answers; nil is exact match.
    public init(
        judge: SymbolicJudge? = nil, compatibility: Compatibility = .retort, factual: (any Grader)? = nil
    ) {
        self.factual = factual ?? ExactGrader()
        switch compatibility {
        case .retort: math = MathGrader(judge: judge)
        case .paper: math = PaperMathGrader()
        }
    }

    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        task.family == .math ? await math.grade(answer, for: task) : await factual.grade(answer, for: task)
    }

    public func grade(_ trajectory: Trajectory) async -> Verdict {
        if let verdict = trajectory.verdictWithoutAnswer { return verdict }
        return await grade(trajectory.answer, for: trajectory.task)
    }
}

/// Grades a whole run: its answer, or the state that it left.
public protocol TrajectoryGrader: Sendable {
    /// A run that failed is never correct, whatever it left behind, and one that gave up only when there was nothing to be
    /// found and it said so itself.
    /// - Throws: when the grader itself broke; there is no verdict then.
    func grade(_ trajectory: Trajectory) async throws -> Verdict
}

extension Trajectory {
    /// The verdict on a run that gave no answer; nil for one that did.
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

    /// Whether giving up was decided, and not the end of the steps.
    private var gaveUpByItself: Bool {
        if case .giveUp = steps.last?.action { true } else { false }
    }
}
