import RetortCore

/// The memory of smolagents' agents: the result of `agent.memory.get_full_steps()`, `get_succinct_steps()` or
/// `RunResult.dict()`, as a list of steps or an object with them.
struct SmolagentsMemory: RecordReader {
    private static let runKeys = RecordKeys(
        "a run", read: ["steps", "messages", "memory", "output", "state", "system_prompt", "task", "model_id", "id"],
        harmless: ["token_usage", "timing"])
    private static let taskKeys = RecordKeys("a task's step", read: ["task", "task_images"])
    private static let planKeys = RecordKeys(
        "a plan's step", read: ["plan", "token_usage"],
        harmless: ["model_input_messages", "model_output_message", "timing", "facts"])
    private static let actionKeys = RecordKeys(
        "an action's step",
        read: [
            "step_number", "timing", "tool_calls", "error", "model_output_message", "model_output", "code_action",
            "observations", "observations_images", "action_output", "token_usage", "is_final_answer",
            "model_input_messages", "duration", "start_time", "end_time", "step",
        ], harmless: ["agent_memory"])
    static let forced = "the answer was asked for at the step limit"
    static let onlyText = "the program of a step stands only in the model's words"
    private static let latePlan = "a plan behind the answer"

    /// The steps of a record; nil for a record that is not a memory.
    static func steps(_ record: JSONValue) -> [JSONValue]? {
        let steps =
            record.array ?? record["steps"]?.array ?? record["memory"]?["steps"]?.array
            ?? record["memory"]?.array ?? (record["state"] == nil ? nil : record["messages"]?.array)
        guard let steps, !steps.isEmpty, steps.allSatisfy(isStep) else { return nil }
        return steps
    }

    private static func isStep(_ value: JSONValue) -> Bool {
        guard value["role"] == nil else { return false }
        return value["step_number"] != nil || value["plan"] != nil || value["system_prompt"]?.string != nil
            || (value["task"]?.string != nil && (value.object?.count ?? 0) <= 2)
            || value["model_input_messages"] != nil || (value.object?.keys.elementsEqual(["output"]) ?? false)
    }

    mutating func trajectories(_ record: JSONValue, _ context: RecordContext) throws(RecordRejection)
        -> [ReadTrajectory]
    {
        guard let steps = Self.steps(record) else {
            throw RecordRejection("the record holds no steps as smolagents' memory has them")
        }
        var notes = RecordNotes()
        Self.runKeys.check(record, &notes)
        let system = record["system_prompt"]?.words ?? record["system_prompt"]?["system_prompt"]?.words
        // A memory that was not reset between runs contains several.
        var runs: [Run] = []
        for step in steps {
            if let prompt = step["system_prompt"]?.string {
                runs.append(Run(system: prompt))
            } else if step["task"] != nil {
                Self.taskKeys.check(step, &notes)
                if step["task_images"]?.isVoid == false { throw .multimodal("image", in: "the task") }
                if runs.last?.task != nil || runs.isEmpty { runs.append(Run(system: runs.last?.system ?? system)) }
                runs[runs.count - 1].task = step["task"]?.string
            } else {
                if runs.isEmpty { runs.append(Run(system: system, task: record["task"]?.string)) }
                runs[runs.count - 1].steps.append(step)
            }
        }
        runs.removeAll { $0.task == nil && $0.steps.isEmpty }
        var read: [ReadTrajectory] = []
        for (index, run) in runs.enumerated() {
            var task = context.task(id: record["id"]?.identifier)
            if runs.count > 1 { task.id += "-\(index + 1)" }
            task.model = record["model_id"]?.words ?? "unknown"
            let output = index == runs.count - 1 ? record["output"] : nil
            read.append(try run.trajectory(task, output: output, notes))
        }
        return read
    }

    /// One run of an agent.
    private struct Run {
        var system: String?
        var task: String?
        var steps: [JSONValue] = []

        func trajectory(
            _ dialogue: DialogueTask, output: JSONValue?, _ given: RecordNotes
        ) throws(RecordRejection) -> ReadTrajectory {
            var notes = given
            guard let question = task, !question.isEmpty else { throw RecordRejection("the run has no task") }
            var known =
                dialogue.known[question]
                ?? AgentTask(
                    id: dialogue.id, question: question, answers: [], family: dialogue.family, split: dialogue.split)
            if let prompt = system ?? firstPrompt { known.metadata["system"] = .string(prompt) }
            var trajectory = Trajectory(
                task: known, provenance: Provenance(policy: dialogue.policy, model: dialogue.model))
            var plans: [String] = []
            var usage = Usage()
            for step in steps {
                if let plan = step["plan"] {
                    SmolagentsMemory.planKeys.check(step, &notes)
                    plans.append(plan.string ?? plan.jsonText)
                    usage = usage + SmolagentsMemory.usage(step)
                    continue
                }
                if step["step_number"] == nil, step["model_output"] == nil, let value = step["output"] {
                    trajectory.end(.answered(value))
                    continue
                }
                SmolagentsMemory.actionKeys.check(step, &notes)
                var made = try MemoryStep(step).steps(&notes)
                guard !made.isEmpty else { continue }
                if !plans.isEmpty { notes.repairs.insert(DialogueSteps.planned) }
                made[0].thought = (plans + [made[0].thought]).filter { !$0.isEmpty }.joined(separator: "\n\n")
                made[0].usage = usage + SmolagentsMemory.usage(step)
                (plans, usage) = ([], Usage())
                for step in made { trajectory.append(step) }
                close(&trajectory, step)
            }
            guard !trajectory.steps.isEmpty else { throw RecordRejection("the run has no action") }
            if !plans.isEmpty, trajectory.ending != nil {
                notes.unread.insert(SmolagentsMemory.latePlan)
            } else if !plans.isEmpty {
                trajectory.append(.unrun(plans, "the memory ends after a plan", usage))
            }
            if let output, !output.isVoid, trajectory.ending == nil { trajectory.end(.answered(output)) }
            trajectory.end(.gaveUp("the record ends without an answer"))
            return ReadTrajectory(trajectory, notes)
        }

        /// Ends the run, if the step is its last.
        private func close(_ trajectory: inout Trajectory, _ step: JSONValue) {
            if step["error"]?["type"] == "AgentMaxStepsError" {
                if case .answer(let value)? = trajectory.steps.last?.action { trajectory.end(.forced(value)) }
            } else if step["is_final_answer"] == true,
                case .final(let value)? = trajectory.steps.last?.observation.outcome
            {
                trajectory.end(.answered(value))
            } else if case .answer(let value)? = trajectory.steps.last?.action {
                trajectory.end(.answered(value))
            }
        }

        /// The instructions, from the model's first prompt.
        private var firstPrompt: String? {
            let prompt = steps.compactMap { $0["model_input_messages"]?.array }.first { !$0.isEmpty }
            return prompt?.first { $0["role"] == "system" }.flatMap { message in
                message["content"]?.words ?? message["content"]?.array?.compactMap { $0["text"]?.string }.joined()
            }
        }
    }

    fileprivate static func usage(_ step: JSONValue) -> Usage {
        Usage(
            promptTokens: step["token_usage"]?["input_tokens"]?.count ?? 0,
            completionTokens: step["token_usage"]?["output_tokens"]?.count ?? 0, seconds: seconds(step))
    }

    private static func seconds(_ step: JSONValue) -> Double {
        switch step["timing"]?["duration"] ?? step["duration"] {
        case .number(let seconds): seconds
        case .integer(let seconds): Double(seconds)
        default: 0
        }
    }
}
