import RetortCore

/// How smolagents, and Retort's own code agent, report a program or a call to a model: `Observation:` or `Error:`,
/// after the call's id or the step's number in some versions.
enum AgentObservation {
    /// Whether a text in the user's place is such a report.
    static func isOne(_ text: String) -> Bool {
        withUnixLines(text).prefixMatch(of: /\s*(?:Call id: [^\n]*\n)?(?:Observation:|Error:\n)/) != nil
    }

    /// Whether a text behind a program is its report as other agents spell it: emphasized, in small letters, between tags
    /// or fences, or without a heading of its own above the logs.
    static func isLikeOne(_ text: String) -> Bool {
        let text = withUnixLines(text)
        return isOne(text) || [heading, logs, failure, fence].contains { text.prefixMatch(of: $0) != nil }
    }

    private static var heading: Regex<Substring> {
        /\s*(?:\[[^\[\]\n]{1,60}\]\s*->\s*)?(?:[*_#> ]*observations?[*_ ]*:[*_]*|<observation>)\n?/.ignoresCase()
    }
    private static var logs: Regex<Substring> { /\s*[*_#> ]*execution logs[*_ ]*:[*_]*\n?/.ignoresCase() }
    private static var failure: Regex<Substring> {
        /\s*(?:\[[^\[\]\n]{1,60}\]\s*->\s*)?[*_#> ]*Error[*_ ]*:[*_]*\n/
    }
    private static var fence: Regex<Substring> { /\s*```[ ]?(?:tool_)?outputs?[ ]*\n/.ignoresCase() }

    /// Reads the reports of an action.
    /// - Returns: the observation, and whether an output and an error were joined without a break.
    static func read(_ texts: [String], of action: Action) -> (observation: Observation, isGlued: Bool) {
        var isGlued = false
        var shown: [String] = []
        var outcome = Observation.Outcome.success
        if case .unparsable(_, let reason) = action { outcome = .parseError(reason) }
        for part in texts.flatMap({ split(withUnixLines($0), &isGlued) }) {
            switch part {
            case .output(let text): shown.append(text)
            case .error(let message):
                shown.append(message)
                outcome = Self.outcome(message)
            }
        }
        let text = shown.filter { !$0.isEmpty }.joined(separator: "\n")
        return (Observation(text: text, outcome: outcome), isGlued)
    }

    /// In Swift, and so in the expressions here, a Windows line break is a single character that does not equal a line
    /// feed.
    private static func withUnixLines(_ text: String) -> String { text.replacing("\r\n", with: "\n") }

    private enum Part {
        case output(String)
        case error(String)
    }

    /// Splits a text at the calls' ids: the output that was printed before a failure, then the error.
    private static func split(_ text: String, _ isGlued: inout Bool) -> [Part] {
        let cuts = text.ranges(of: /Call id: [^\n]*\n(?=Error:|Observation:)/).map(\.lowerBound)
        if cuts.contains(where: { $0 != text.startIndex && !text[..<$0].hasSuffix("\n") }) { isGlued = true }
        let starts = [text.startIndex] + cuts.filter { $0 != text.startIndex }
        return zip(starts, starts.dropFirst() + [text.endIndex]).map { part(text[$0..<$1]) }
    }

    private static func part(_ text: Substring) -> Part {
        var rest = text
        if let id = rest.prefixMatch(of: /\s*Call id: [^\n]*\n/) { rest = rest[id.range.upperBound...] }
        if let mark = rest.prefixMatch(of: /\s*Error:\s*/) ?? rest.prefixMatch(of: failure) {
            let message = rest[mark.range.upperBound...]
            // The following text is the agent's own advice.
            return .error(
                (message.firstRange(of: "\nNow let's retry").map { message[..<$0.lowerBound] } ?? message)
                    .trimmingBlanks)
        }
        if let mark = rest.prefixMatch(of: heading) {
            rest = without("</observation>", behind: rest[mark.range.upperBound...])
        } else if let mark = rest.prefixMatch(of: fence) {
            rest = without("```", behind: rest[mark.range.upperBound...])
        }
        return .output(output(rest))
    }

    private static func without(_ end: String, behind text: Substring) -> Substring {
        guard let place = text.ranges(of: end).last, text[place.upperBound...].allSatisfy(\.isWhitespace) else {
            return text
        }
        return text[..<place.lowerBound]
    }

    /// The printed output, and the last value when there is one.
    static func output(_ text: Substring) -> String {
        var printed = withUnixLines(String(text))[...]
        if let mark = printed.prefixMatch(of: logs) { printed = printed[mark.range.upperBound...] }
        guard let mark = printed.ranges(of: "Last output from code snippet:\n").last else {
            return printed.trimmingBlanks
        }
        let value = printed[mark.upperBound...].trimmingBlanks
        let logs = printed[..<mark.lowerBound].trimmingBlanks
        return value == "None" ? logs : logs.isEmpty ? value : "\(logs)\n\(value)"
    }

    /// The outcome of an action with this error.
    static func outcome(_ message: String) -> Observation.Outcome {
        if message.contains(/[Cc]ode parsing|code snippet is invalid|regex pattern/) { return .parseError(message) }
        if let error = message.firstMatch(of: /([A-Za-z_][\w.]*(?:Error|Exception|Interrupt)):?\s*([\s\S]*)/) {
            let type = error.output.1.split(separator: ".").last.map(String.init) ?? String(error.output.1)
            return .executionError(type: type, message: String(error.output.2))
        }
        return .executionError(type: "ExecutionError", message: message)
    }
}

extension Observation {
    /// Of an action whose result a record does not hold.
    static var notRecorded: Observation {
        Observation(
            text: "", outcome: .executionError(type: "NotRecorded", message: "the record holds no result"))
    }
}

extension Step {
    /// A step for plans that no action followed.
    static func unrun(_ plans: [String], _ reason: String, _ usage: Usage = Usage()) -> Step {
        Step(
            thought: "", action: .unparsable(text: plans.joined(separator: "\n\n"), reason: reason),
            observation: Observation(text: "", outcome: .parseError(reason)), usage: usage)
    }
}
