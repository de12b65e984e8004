import RetortCore

extension Trajectory {
    /// Takes steps again in a fresh session, and appends each that shows what it showed before.
    ///
    /// Where a step shows something else, the trajectory ends without an answer, and what follows is not taken.
    mutating func replay(_ steps: some Sequence<Step>, in session: any Environment) async throws {
        for step in steps {
            let observation = try await session.perform(step.action)
            guard observation.text == step.observation.text, observation.outcome == step.observation.outcome else {
                return end(.gaveUp("step \(self.steps.count + 1) showed something else when it was done again"))
            }
            append(step)
        }
    }
}
