import Foundation
import RetortCore

/// Keeps apart values that JSON writes alike, so that a trajectory leaves the store unchanged.
///
/// Foundation's encoder writes the number `2.0` as `2`, which reads back as the integer 2; JSON has no form for
/// infinities and NaN; and a tool's result `null` reads back as no result. Such values are stored as `{"$exact":
/// "2.0"}` and `{"$exact": "null"}`. A trajectory's own object with the single key `$exact` is wrapped once more, so
/// nothing is mistaken for a mark.
enum ExactValues {
    private static let key = "$exact"

    /// The trajectory with marks in place of such values.
    static func marked(_ trajectory: Trajectory) -> Trajectory { trajectory.mapValues(mark) }

    /// The trajectory with the values in place of their marks.
    static func unmarked(_ trajectory: Trajectory) -> Trajectory { trajectory.mapValues(unmark) }

    private static func mark(_ value: JSONValue) -> JSONValue {
        switch value {
        case .number(let number) where !number.isFinite || number == number.rounded():
            return [key: .string("\(number)")]
        case .null: return [key: "null"]
        case .array(let elements): return .array(elements.map(mark))
        case .object(let members):
            let marked = JSONValue.object(members.mapValues(mark))
            return members.count == 1 && members[key] != nil ? [key: marked] : marked
        case .bool, .integer, .number, .string: return value
        }
    }

    private static func unmark(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map(unmark))
        case .object(let members):
            guard members.count == 1, let inner = members[key] else { return .object(members.mapValues(unmark)) }
            if let text = inner.string { return Double(text).map(JSONValue.number) ?? .null }
            // A wrapped object of the trajectory itself.
            return .object((inner.object ?? members).mapValues(unmark))
        case .null, .bool, .integer, .number, .string: return value
        }
    }
}

extension Trajectory {
    /// The same trajectory with each JSON value in it replaced.
    fileprivate func mapValues(_ change: (JSONValue) -> JSONValue) -> Trajectory {
        var copy = self
        copy.task.metadata = task.metadata.mapValues(change)
        copy.state = state.map(change)
        let steps = steps.map { step in
            var step = step
            step.action = step.action.mapValues(change)
            step.observation = step.observation.mapValues(change)
            for index in step.candidates.indices {
                step.candidates[index].action = step.candidates[index].action.mapValues(change)
                step.candidates[index].observation = step.candidates[index].observation?.mapValues(change)
            }
            return step
        }
        let ending: Ending? =
            switch ending {
            case .answered(let value): .answered(change(value))
            case .forced(let value): .forced(change(value))
            case .gaveUp, .failed, nil: ending
            }
        return copy.with(steps: steps, ending: ending)
    }
}

extension Action {
    fileprivate func mapValues(_ change: (JSONValue) -> JSONValue) -> Action {
        switch self {
        case .toolCall(let name, let arguments): .toolCall(name: name, arguments: change(arguments))
        case .answer(let value): .answer(change(value))
        case .code, .giveUp, .unparsable: self
        }
    }
}

extension Observation {
    fileprivate func mapValues(_ change: (JSONValue) -> JSONValue) -> Observation {
        var copy = self
        if case .final(let value) = outcome { copy.outcome = .final(change(value)) }
        for index in copy.toolCalls.indices {
            copy.toolCalls[index].arguments = copy.toolCalls[index].arguments.mapValues(change)
            copy.toolCalls[index].result = copy.toolCalls[index].result.map(change)
        }
        return copy
    }
}
