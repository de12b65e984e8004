import RetortCore

/// What one run of an agent that calls APIs contributes to its system's figures. Branches of a search that were abandoned
/// count among the calls.
public struct ToolUseRecord: Sendable, Hashable {
    public let task: AgentTask
    /// The answer is right, or there was none to be had and the agent gave up.
    public let isPass: Bool
    /// Calls of APIs, or programs run.
    public let calls: Int
    /// Calls of APIs that were not offered.
    public let inventedNames: Int
    /// Calls that the API's schema refuses.
    public let invalidInputs: Int
    /// Turns that could not be read as what they should have been.
    public let unreadableTurns: Int
    public let turns: Int
    public let usage: Usage

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
