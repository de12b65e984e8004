import RetortCore

/// What a format tells about a dialogue besides its messages.
struct DialogueTask {
    var id: String
    var attempt = 0
    var policy = "teacher"
    var model = "unknown"
    var family = AgentTask.Family.factual
    var split = "train"
    var tools: [ToolDocument] = []
    /// Kept in the task's metadata.
    var metadata: [String: JSONValue] = [:]
    /// The tasks of a file of questions, by their questions.
    var known: [String: AgentTask] = [:]

    /// The trajectory of a dialogue, with notes about it.
    /// - Parameter failure: why the run broke; nil when it did not.
    /// - Throws: `RecordRejection`.
    func trajectory(
        _ dialogue: Dialogue, failure: String? = nil
    ) throws(RecordRejection) -> (Trajectory, RecordNotes) {
        let told = try DialogueSteps(dialogue)
        guard !told.steps.isEmpty else { throw RecordRejection("the model takes no turn") }
        var trajectory = Trajectory(
            task: task(told), provenance: Provenance(policy: policy, model: model, attempt: attempt))
        for step in told.steps { trajectory.append(step) }
        if let failure { trajectory.end(.failed(failure)) }
        trajectory.end(told.ending ?? .gaveUp("the record ends without an answer"))
        return (trajectory, told.notes)
    }

    func task(_ told: DialogueSteps) -> AgentTask {
        var task =
            known[told.question]
            ?? AgentTask(id: id, question: told.question, answers: [], family: family, split: split)
        task.metadata.merge(metadata) { own, _ in own }
        if !told.system.isEmpty { task.metadata["system"] = .string(told.system.joined(separator: "\n\n")) }
        task.metadata["opening"] = told.opening.map(JSONValue.string)
        if !tools.isEmpty { task.tools = tools }
        return task
    }
}
