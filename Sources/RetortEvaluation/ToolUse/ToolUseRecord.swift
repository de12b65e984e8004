import RetortCore

/// What one run of an agent that calls APIs contributes to its system's figures. Abandoned branches of a search count
/// among the calls and turns.
public struct ToolUseRecord: Sendable, Hashable {
    /// The task.
    public let task: AgentTask
    /// Whether the answer is right, or the agent gave up on a task that cannot be solved.
    public let isPass: Bool
    /// The number of API calls, or of programs.
    public let calls: Int
    /// The number of calls of APIs that were not offered.
    public let inventedNames: Int
    /// The number of calls whose arguments the API's schema refuses.
    public let invalidInputs: Int
    /// The number of turns that could not be read as an action.
    public let unreadableTurns: Int
    /// The number of turns, including those of abandoned branches.
    public let turns: Int
    /// The tokens and the time of the model.
    public let usage: Usage

    /// Counts a run's calls and turns.
    public init(_ trajectory: Trajectory, _ verdict: Verdict) {
        task = trajectory.task
        isPass = verdict.isCorrect
        usage = trajectory.usage
        var (calls, invented, invalid, unreadable, turns) = (0, 0, 0, 0, 0)
        func count(_ action: Action, _ observation: Observation?) {
            turns += 1
            if case .unparsable = action { unreadable += 1 }
            guard action.toolName != nil || action.code != nil else { return }
            calls += 1
            if case .executionError(let type, _) = observation?.outcome {
                if type == "UnknownAPI" { invented += 1 }
                if type == "InvalidInput" { invalid += 1 }
            }
        }
        for step in trajectory.steps {
            count(step.action, step.observation)
            for other in step.candidates where !other.chosen { count(other.action, other.observation) }
        }
        (self.calls, inventedNames, invalidInputs) = (calls, invented, invalid)
        (unreadableTurns, self.turns) = (unreadable, turns)
    }
}
