import RetortAgents
import RetortCore

extension Trajectory {
    /// The same trajectory as a code agent would have written it: the final answer becomes the program
    /// `final_answer("…")`, so that a student learns to end its run itself.
    ///
    /// Earlier steps, the outcome and the ending stay as they are, and so does a trajectory without an answer.
    public func asAgentTrajectory() -> Trajectory {
        guard let last = steps.last, case .answer(let value) = last.action else { return self }
        var final = last
        final.action = .code("final_answer(\(PythonLiteral.of(value)))")
        return with(steps: steps.dropLast() + [final])
    }
}
