import Foundation
import RetortCore

/// Writes trajectories in the Agent Trajectory Interchange Format; `ATIFImporter` reads them back without loss.
public enum ATIFExporter {
    /// The document of a trajectory, as its JSON value.
    /// - Throws: only encoding errors.
    public static func document(_ trajectory: Trajectory) throws -> JSONValue {
        let usage = trajectory.usage
        var steps: [JSONValue] = [["source": "user", "message": .string(trajectory.task.question)]]
        for (index, step) in trajectory.steps.enumerated() {
            steps += (step.remarks ?? []).map { ["source": "user", "message": .string($0)] }
            steps.append(try document(step, call: "call_\(index + 1)"))
        }
        var agent: [String: JSONValue] = [
            "name": .string(trajectory.provenance.policy),
            "version": .string(trajectory.provenance.version ?? "unknown"),
            "model_name": .string(trajectory.provenance.model),
        ]
        let tools = ToolSchemas.openAI(for: trajectory)
        if !tools.isEmpty { agent["tool_definitions"] = .array(tools) }
        let facts = ATIF.Facts(
            task: trajectory.task, provenance: trajectory.provenance, ending: trajectory.ending,
            state: trajectory.state)
        return [
            "schema_version": .string(ATIF.version), "session_id": .string(trajectory.id),
            "trajectory_id": .string(trajectory.id), "agent": .object(agent),
            "steps": .array(
                steps.enumerated().map { index, step in
                    .object((step.object ?? [:]).merging(["step_id": .integer(index + 1)]) { own, _ in own })
                }),
            "final_metrics": [
                "total_prompt_tokens": .integer(usage.promptTokens),
                "total_completion_tokens": .integer(usage.completionTokens), "total_steps": .integer(steps.count),
            ],
            "extra": [ATIF.ours: try ExactJSON.tree(facts)],
        ]
    }

    private static func document(_ step: Step, call id: String) throws -> JSONValue {
        var fields: [String: JSONValue] = ["source": "agent", "message": .string(step.thought)]
        func call(_ name: String, _ arguments: JSONValue) {
            fields["tool_calls"] = [
                ["tool_call_id": .string(id), "function_name": .string(name), "arguments": arguments]
            ]
        }
        switch step.action {
        case .code(let program): call(ATIF.program, [ATIF.programArgument: .string(program)])
        case .toolCall(let name, let arguments):
            call(name, arguments.object == nil ? ["value": arguments] : arguments)
        case .answer(let value): say(value.text)
        case .giveUp(let reason): say(reason)
        case .unparsable(let text, _): say(text)
        }
        /// A text for the user; the thought before it becomes reasoning.
        func say(_ text: String) {
            fields["message"] = .string(text)
            if !step.thought.isEmpty { fields["reasoning_content"] = .string(step.thought) }
        }
        if fields["tool_calls"] != nil {
            let result: JSONValue = ["source_call_id": .string(id), "content": .string(step.observation.text)]
            fields["observation"] = ["results": [result]]
        } else if !step.observation.text.isEmpty {
            fields["observation"] = ["results": [["content": .string(step.observation.text)]]]
        }
        var metrics: [String: JSONValue] = [
            "prompt_tokens": .integer(step.usage.promptTokens),
            "completion_tokens": .integer(step.usage.completionTokens),
        ]
        if case .tokens(let tokens) = step.transcript {
            metrics["prompt_token_ids"] = .array(tokens.prompt.map { .integer(Int($0)) })
            metrics["completion_token_ids"] = .array(tokens.completion.map { .integer(Int($0)) })
        }
        fields["metrics"] = .object(metrics)
        fields["extra"] = [ATIF.ours: try ExactJSON.tree(facts(step))]
        return .object(fields)
    }

    private static func facts(_ step: Step) -> ATIF.StepFacts {
        var transcript = step.transcript
        if case .tokens = transcript { transcript = nil }
        var observation = step.observation
        observation.text = ""
        return ATIF.StepFacts(
            speaker: step.speaker, action: ATIF.isTold(step.action) ? nil : step.action, observation: observation,
            seconds: step.usage.seconds, candidates: step.candidates, transcript: transcript, remarks: step.remarks,
            wording: step.wording, isLearned: step.isLearned)
    }

    /// Writes one document per line.
    public static func write(_ trajectories: some Sequence<Trajectory>, to file: URL) throws {
        try JSONLines.write(trajectories.map(document), to: file)
    }
}
