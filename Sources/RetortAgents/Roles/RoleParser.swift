import Foundation
import RetortCore

/// Reads what the roles write. The inverse of `RoleWords`; whatever a model writes, something is made of it.
public enum RoleParser {
    /// What a call that names no function is taken to name.
    public static let noName = "none"

    /// The planner's rationale and its first decision; what follows that is not read. Without a decision the caller's
    /// turn comes.
    public static func plan(_ text: String) -> (thought: String, decision: RoleDecision) {
        let found = RoleDecision.allCases.compactMap { decision in
            text.range(of: "Next: \(decision.rawValue)", options: .caseInsensitive).map { ($0.lowerBound, decision) }
        }
        guard let (start, decision) = found.min(by: { $0.0 < $1.0 }) else { return (text.trimmed, .caller) }
        return (text[..<start].trimmed, decision)
    }

    /// The caller's request: the name between the last `Action:` and `Action Input:`, and the object after that. A missing
    /// input is empty, a missing name is `none`; an input that is no JSON object makes the text unparsable.
    /// - Returns: the action, and its wording where that differs from the canonical one.
    public static func call(_ text: String) -> (action: Action, wording: String?) {
        let (name, input) = parts(text)
        let arguments: JSONValue
        if input.isEmpty {
            arguments = [:]
        } else if let value = try? ExactJSON.value(of: input),
            value.object != nil
        {
            arguments = value
        } else {
            let reason = "the Action Input is not a JSON object; write one, such as {\"name\": \"value\"}"
            return (.unparsable(text: text, reason: reason), nil)
        }
        let action = Action.toolCall(name: name, arguments: arguments)
        return (action, RoleWords.call(action) == text.trimmed ? nil : text.trimmed)
    }

    /// The name and the input of a request, as written.
    public static func parts(_ text: String) -> (name: String, input: String) {
        let inputMark = text.range(of: "Action Input:", options: .backwards)
        let head = text[..<(inputMark?.lowerBound ?? text.endIndex)]
        let nameMark = head.range(of: "Action:", options: .backwards)
        let name = nameMark.map { head[$0.upperBound...].trimmed } ?? ""
        let input = inputMark.map { text[$0.upperBound...].trimmed } ?? ""
        return (name.isEmpty ? noName : name, input)
    }

    /// The single model's turn: a conclusion, giving up, or a call.
    /// - Returns: also the wording, where the action's differs from the canonical one.
    public static func backboneTurn(
        _ text: String, callForm: RoleView.CallForm
    ) -> (thought: String, action: Action, wording: String?) {
        let conclusion = text.range(of: "conclusion:", options: [.caseInsensitive, .backwards])
        let call = text.range(of: "Action:", options: .backwards)
        if let conclusion, call.map({ $0.lowerBound < conclusion.lowerBound }) ?? true {
            let thought = text[..<conclusion.lowerBound].trimmed
            let answer = text[conclusion.upperBound...].trimmed
            return (thought, answered(answer), nil)
        }
        switch callForm {
        case .json:
            guard let first = text.range(of: "Action:") else {
                let reason = "there is neither a line 'Action:' nor a line 'conclusion:'"
                return ("", .unparsable(text: text, reason: reason), nil)
            }
            let (action, wording) = Self.call(String(text[first.lowerBound...]))
            return (text[..<first.lowerBound].trimmed, action, wording)
        case .program:
            let (thought, action) = ActionParser.codeTurn(text)
            return (thought, action, nil)
        }
    }

    /// An answer; giving up is one too.
    private static func answered(_ answer: String) -> Action {
        let words = answer.lowercased()
        if words == "give up." || words == "give up" { return .giveUp(reason: "") }
        guard !answer.isEmpty else { return .unparsable(text: "conclusion:", reason: "the conclusion is empty") }
        return .answer(.string(answer))
    }
}
