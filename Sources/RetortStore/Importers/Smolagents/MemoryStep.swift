import RetortAgents
import RetortCore

/// An `ActionStep` of smolagents: a CodeAgent's program, or the calls of a ToolCallingAgent.
struct MemoryStep {
    private let step: JSONValue

    init(_ step: JSONValue) throws(RecordRejection) {
        if step["observations_images"]?.isVoid == false {
            throw .multimodal("image", in: "the observation of step \(step["step_number"]?.text ?? "?")")
        }
        self.step = step
    }

    /// The step's actions in order; several where it made several calls.
    func steps(_ notes: inout RecordNotes) throws(RecordRejection) -> [Step] {
        if step["error"]?["type"] == "AgentMaxStepsError" { return forced(&notes) }
        let calls = try self.calls(&notes)
        if let program = program(calls) { return [codeStep(program)] }
        if calls.isEmpty, error == nil, let program = ActionParser.codeTurn(text).action.code {
            notes.repairs.insert(SmolagentsMemory.onlyText)
            return [codeStep(program)]
        }
        return calls.isEmpty ? unparsable : toolSteps(calls, &notes)
    }

    // MARK: Fields

    private var text: String {
        step["model_output"]?.string ?? step["model_output_message"]?["content"]?.string
            ?? (step["model_output"]?.array ?? step["model_output_message"]?["content"]?.array ?? [])
            .compactMap { $0["text"]?.string }.joined()
    }

    /// The calls of the step. A call that failed is found only in the model's message.
    private func calls(_ notes: inout RecordNotes) throws(RecordRejection) -> [Dialogue.Call] {
        var calls: [Dialogue.Call] = []
        let own = step["tool_calls"]?.array ?? []
        for call in own.isEmpty ? step["model_output_message"]?["tool_calls"]?.array ?? [] : own {
            calls.append(try OpenAIMessages.call(call, &notes))
        }
        return calls
    }

    private func program(_ calls: [Dialogue.Call]) -> String? {
        written(calls)?.replacing("\r\n", with: "\n")
    }

    private func written(_ calls: [Dialogue.Call]) -> String? {
        if let code = step["code_action"]?.string { return code }
        guard calls.count == 1, calls[0].name == ReplyText.interpreter else { return nil }
        return calls[0].spoiltArguments ?? calls[0].arguments.string ?? calls[0].arguments["code"]?.string
    }

    private var error: String? { step["error"]?["message"]?.string ?? step["error"]?.words }

    private var isFinal: Bool { step["is_final_answer"] == true }

    /// What the model was shown of the result.
    private var observation: Observation {
        let shown = AgentObservation.output((step["observations"]?.string ?? "")[...])
        let seconds: Double = if case .number(let seconds) = step["timing"]?["duration"] { seconds } else { 0 }
        guard let error else { return Observation(text: shown, outcome: .success, seconds: seconds) }
        return Observation(
            text: [shown, error].filter { !$0.isEmpty }.joined(separator: "\n"),
            outcome: AgentObservation.outcome(error), seconds: seconds)
    }

    // MARK: Steps

    private func codeStep(_ program: String) -> Step {
        var observation = observation
        if isFinal, error == nil { observation.outcome = .final(step["action_output"] ?? .null) }
        return Step(thought: ActionParser.codeTurn(text).thought, action: .code(program), observation: observation)
    }

    private func toolSteps(_ calls: [Dialogue.Call], _ notes: inout RecordNotes) -> [Step] {
        if calls.count > 1 {
            notes.repairs.formUnion([DialogueSteps.parallel, DialogueSteps.shared])
        }
        return calls.enumerated().map { index, call in
            var observation =
                index == calls.count - 1 ? observation : Observation(text: "", outcome: .success)
            let thought = index == 0 ? text : ""
            if call.name == "final_answer", error == nil {
                let sole = call.arguments.object?.count == 1 ? call.arguments.object?.first?.value : nil
                let told = step["action_output"].flatMap { $0 == .null ? nil : $0 }
                let value = told ?? call.arguments["answer"] ?? sole ?? call.arguments
                observation.outcome = .final(value)
                return Step(thought: thought, action: .answer(value), observation: observation)
            }
            if isFinal, error == nil, index == calls.count - 1 {
                observation.outcome = .final(step["action_output"] ?? .string(observation.text))
            }
            observation.toolCalls = [
                ToolCall(
                    name: call.name, arguments: call.arguments.object ?? [:],
                    result: error == nil ? .string(observation.text) : nil, error: error)
            ]
            return Step(
                thought: thought, action: .toolCall(name: call.name, arguments: call.arguments),
                observation: observation)
        }
    }

    /// A turn in which no action was found.
    private var unparsable: [Step] {
        guard !text.isEmpty || error != nil else { return [] }
        if isFinal, error == nil, let answer = step["action_output"], !answer.isVoid {
            let observation = Observation(text: observation.text, outcome: .final(answer))
            return [Step(thought: text, action: .answer(answer), observation: observation)]
        }
        let reason = error ?? "the step has no action"
        let outcome: Observation.Outcome =
            error == nil ? .parseError(reason) : AgentObservation.outcome(reason)
        return [
            Step(
                thought: "", action: .unparsable(text: text, reason: reason),
                observation: Observation(text: observation.text, outcome: outcome))
        ]
    }

    /// The agent's answer when it was asked at its step limit.
    private func forced(_ notes: inout RecordNotes) -> [Step] {
        guard let answer = step["action_output"], !answer.isVoid else { return [] }
        notes.repairs.insert(SmolagentsMemory.forced)
        let value = answer.array.map { JSONValue.string($0.compactMap { $0["text"]?.string }.joined()) } ?? answer
        return [Step(thought: "", action: .answer(value), observation: Observation(text: "", outcome: .final(value)))]
    }
}
