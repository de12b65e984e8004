import RetortCore

/// Corrects a trajectory by hand: thoughts, actions and the answer can be rewritten; observations stay as they were.
enum TrajectoryMending {
    /// An action as the text that a person edits.
    static func text(of action: Action) -> String {
        switch action {
        case .code(let program): program
        case .toolCall(_, let arguments): arguments.jsonText
        case .answer(let value): value.text
        case .giveUp(let reason): reason
        case .unparsable(let text, _): text
        }
    }

    /// What kind of text that is.
    static func kind(of action: Action) -> String {
        switch action {
        case .code: "program"
        case .toolCall(let name, _): "arguments of \(VisibleText.line(name, upTo: 80)), as JSON"
        case .answer: "answer"
        case .giveUp: "why it gives up"
        case .unparsable: "the text that held no action; what is written here becomes a program"
        }
    }

    /// The trajectory with the changes of a form; nil when the form changes nothing.
    /// - Throws: `APIError` for arguments that are not JSON.
    static func mended(_ old: Trajectory, _ form: StudioForm) throws(APIError) -> Trajectory? {
        var isChanged = false
        var steps = old.steps
        for index in steps.indices {
            let thought = form.raw("thought-\(index)") ?? steps[index].thought
            let written = form.raw("action-\(index)") ?? text(of: steps[index].action)
            let action = try self.action(steps[index].action, written, step: index + 1)
            guard thought != steps[index].thought || action != steps[index].action else { continue }
            isChanged = true
            (steps[index].thought, steps[index].action) = (thought, action)
            // The words that its model wrote are no longer the ones to learn.
            (steps[index].transcript, steps[index].wording) = (nil, nil)
        }
        var ending = old.ending
        if let answer = form.raw("answer"), answer != old.answer, old.answer != nil {
            isChanged = true
            let value = JSONValue.string(answer)
            if case .forced = old.ending { ending = .forced(value) } else { ending = .answered(value) }
            if let last = steps.indices.last, case .final = steps[last].observation.outcome {
                steps[last].observation.outcome = .final(value)
            }
        }
        return isChanged ? old.with(steps: steps, ending: ending) : nil
    }

    private static func action(_ old: Action, _ text: String, step: Int) throws(APIError) -> Action {
        guard text != self.text(of: old) else { return old }
        switch old {
        case .code, .unparsable: return .code(text)
        case .giveUp: return .giveUp(reason: text)
        case .answer: return .answer(.string(text))
        case .toolCall(let name, _):
            guard let arguments = try? ExactJSON.value(of: text), arguments.object != nil else {
                throw .invalid("the arguments of step \(step) are no JSON object; write one such as {\"query\": \"…\"}")
            }
            return .toolCall(name: name, arguments: arguments)
        }
    }
}
