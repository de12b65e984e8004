import RetortAgents
import RetortCore

/// The messages of an agent's log as steps.
struct LogTurns {
    private(set) var steps: [Step] = []
    private(set) var faults: Set<LogFault> = []

    private struct Message {
        let role: String
        let text: String
    }

    /// - Parameter messages: `{role, content}`, the content a text or a list of `{type: "text", text}`.
    init(_ messages: [JSONValue]) throws(LogRejection) {
        var turn: String?
        var observations: [String] = []
        func flush(_ steps: inout [Step], _ faults: inout Set<LogFault>) {
            if let turn { steps.append(Self.step(turn, observations, &faults)) }
            (turn, observations) = (nil, [])
        }
        for value in messages {
            let message = try Self.message(value, &faults)
            switch message.role {
            case "assistant":
                flush(&steps, &faults)
                turn = message.text
            case "tool-response": observations.append(message.text)
            // Logs that went through the training set's rewriting say `user` for observations.
            case "user" where turn != nil: observations.append(message.text)
            case "user": if message.text.contains("<reference>") { faults.insert(.hintInPrompt) }
            // The call repeats the program of the turn before it.
            default: break
            }
        }
        flush(&steps, &faults)
    }

    private static func message(_ value: JSONValue, _ faults: inout Set<LogFault>) throws(LogRejection) -> Message {
        var role = value["role"]?.string ?? ""
        if role.hasPrefix("MessageRole.") {
            faults.insert(.roleSpelling)
            role = role.dropFirst("MessageRole.".count).lowercased().replacing("_", with: "-")
        }
        if let text = value["content"]?.string { return Message(role: role, text: text) }
        var text = ""
        for part in value["content"]?.array ?? [] {
            guard let piece = part["text"]?.string else { throw .notText }
            text += piece
        }
        return Message(role: role, text: text)
    }

    private static func step(_ turn: String, _ observations: [String], _ faults: inout Set<LogFault>) -> Step {
        let parts = observations.flatMap { split($0, &faults) }
        let (thought, action) = ActionParser.codeTurn(turn)
        let observation = observation(parts, action)
        if case .parseError(let reason) = observation.outcome {
            return Step(thought: "", action: .unparsable(text: turn, reason: reason), observation: observation)
        }
        return Step(thought: thought, action: action, observation: observation)
    }

    private enum Part {
        case output(String)
        case error(String)
    }

    /// Cuts a text at the calls' ids: the output of what was printed before a failure, then the error.
    private static func split(_ text: String, _ faults: inout Set<LogFault>) -> [Part] {
        let cuts = text.ranges(of: /Call id: [^\n]*\n(?=Error:|Observation:)/).map(\.lowerBound)
        if cuts.contains(where: { $0 != text.startIndex && !text[..<$0].hasSuffix("\n") }) {
            faults.insert(.gluedTurns)
        }
        let starts = [text.startIndex] + cuts.filter { $0 != text.startIndex }
        return zip(starts, starts.dropFirst() + [text.endIndex]).map { part(text[$0..<$1]) }
    }

    private static func part(_ text: Substring) -> Part {
        var rest = text
        if let id = rest.prefixMatch(of: /Call id: [^\n]*\n/) { rest = rest[id.range.upperBound...] }
        if let mark = rest.prefixMatch(of: /Error:\s*/) {
            let message = rest[mark.range.upperBound...]
            // What follows is advice of the agent's own.
            return .error(
                (message.firstRange(of: "\nNow let's retry").map { message[..<$0.lowerBound] } ?? message)
                    .trimmingBlanks)
        }
        if let mark = rest.prefixMatch(of: /Observation:\n?/) { rest = rest[mark.range.upperBound...] }
        return .output(output(rest))
    }

    /// What was printed, and the last value when there is one.
    private static func output(_ text: Substring) -> String {
        var printed = text
        if let mark = printed.prefixMatch(of: /Execution logs:\n?/) { printed = printed[mark.range.upperBound...] }
        guard let mark = printed.ranges(of: "Last output from code snippet:\n").last else {
            return printed.trimmingBlanks
        }
        let value = printed[mark.upperBound...].trimmingBlanks
        let logs = printed[..<mark.lowerBound].trimmingBlanks
        return value == "None" ? logs : logs.isEmpty ? value : "\(logs)\n\(value)"
    }

    private static func observation(_ parts: [Part], _ action: Action) -> Observation {
        var texts: [String] = []
        var outcome = Observation.Outcome.success
        if case .unparsable(_, let reason) = action { outcome = .parseError(reason) }
        for part in parts {
            switch part {
            case .output(let text): texts.append(text)
            case .error(let message):
                texts.append(message)
                outcome = Self.outcome(message)
            }
        }
        return Observation(text: texts.filter { !$0.isEmpty }.joined(separator: "\n"), outcome: outcome)
    }

    private static func outcome(_ message: String) -> Observation.Outcome {
        if message.contains(/[Cc]ode parsing|code snippet is invalid|regex pattern/) { return .parseError(message) }
        if let error = message.firstMatch(of: /([A-Za-z_][\w.]*(?:Error|Exception|Interrupt)):?\s*([\s\S]*)/) {
            let type = error.output.1.split(separator: ".").last.map(String.init) ?? String(error.output.1)
            return .executionError(type: type, message: String(error.output.2))
        }
        return .executionError(type: "ExecutionError", message: message)
    }
}
