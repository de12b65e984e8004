import RetortCore

/// What one run contributes to the figures of its system.
public struct RunRecord: Sendable, Hashable {
    /// The task.
    public let task: AgentTask
    /// Whether the run counts as right.
    public let isCorrect: Bool
    /// How it ended.
    public let cause: Cause
    /// The word overlap of a factual answer with its best reference, in 0…1; nil for other families.
    public let f1: Double?
    /// The number of steps.
    public let steps: Int
    /// The number of steps with a program.
    public let codeSteps: Int
    /// The number of programs that failed, including those that ran out of time.
    public let failedCodeSteps: Int
    /// The number of turns in which no action could be read.
    public let parseErrors: Int
    /// The number of programs that ran out of time.
    public let timeouts: Int
    /// The number of calls of tools.
    public let toolCalls: Int
    /// The number of tool calls that failed.
    public let toolErrors: Int
    /// The tokens and the time of the model.
    public let usage: Usage
    /// Wall-clock seconds in the model and the environment.
    public let seconds: Double

    /// How a run ended, and why if not well.
    public enum Cause: String, Codable, Sendable, CaseIterable {
        /// A graded answer, given freely or when asked for at the step limit; a run that gave up; or one that broke.
        case correct, wrong, forcedWrong = "forced, wrong", noAnswer = "no answer", failed
        /// A run without an answer, by the outcome of its last step.
        case parseError = "parse error", executionError = "execution error", timeout
        /// The last program failed, and so had a tool that it called.
        case toolError = "tool error"
    }

    /// Counts a run's steps, calls and time.
    public init(_ trajectory: Trajectory, _ verdict: Verdict) {
        task = trajectory.task
        isCorrect = verdict.isCorrect
        f1 = task.family == .factual ? ExactGrader.f1(trajectory.answer ?? "", task.answers) : nil
        steps = trajectory.steps.count
        var (code, failed, late, parse) = (0, 0, 0, 0)
        for step in trajectory.steps {
            // A failed tool call is not a failed program: `toolErrors` counts it.
            let isProgram = if case .code = step.action { true } else { false }
            if isProgram { code += 1 }
            switch step.observation.outcome {
            case .executionError where isProgram: failed += 1
            case .timeout where isProgram:
                failed += 1
                late += 1
            case .parseError: parse += 1
            case .success, .final, .executionError, .timeout: break
            }
        }
        (codeSteps, failedCodeSteps, timeouts, parseErrors) = (code, failed, late, parse)
        toolCalls = trajectory.toolCallCount
        toolErrors = trajectory.steps.reduce(0) { $0 + $1.observation.failedCalls }
        usage = trajectory.usage
        seconds = trajectory.steps.reduce(0) { $0 + $1.usage.seconds + $1.observation.seconds }
        cause = Self.cause(trajectory, verdict)
    }

    private static func cause(_ trajectory: Trajectory, _ verdict: Verdict) -> Cause {
        if verdict.isCorrect { return .correct }
        switch trajectory.ending {
        case .failed, nil: return .failed
        case .forced: return .forcedWrong
        case .answered: return .wrong
        case .gaveUp:
            switch trajectory.steps.last?.observation.outcome {
            case .parseError: return .parseError
            case .executionError:
                return (trajectory.steps.last?.observation.failedCalls ?? 0) > 0 ? .toolError : .executionError
            case .timeout: return .timeout
            case .success, .final, nil: return .noAnswer
            }
        }
    }
}

extension Observation {
    fileprivate var failedCalls: Int { toolCalls.count { $0.error != nil } }
}
