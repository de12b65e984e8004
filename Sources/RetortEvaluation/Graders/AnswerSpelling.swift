import RetortCore

/// One spelling for all final answers that the graders treat as the same; votes are counted by it. So ½, `0.5` and
/// `\boxed{\frac{1}{2}}` are one candidate, as are `The Glass Orchard.` and `glass orchard`.
///
/// Equal spellings are equal answers. Different spellings may also be equal, where only algebra could tell.
package enum AnswerSpelling {
    /// - Returns: nil for an answer without a value or words, and for a list or an object.
    package static func of(_ answer: JSONValue, _ family: AgentTask.Family) -> String? {
        switch answer {
        case .array, .null, .bool: return nil
        // Integers beyond 64 bits are objects in this JSON.
        case .object(let members) where members["$int"] == nil: return nil
        default: break
        }
        guard family == .math || family.rawValue == "number" else {
            return ExactGrader.normalised(answer.text).isEmpty ? nil : ExactGrader.spelling(answer.text)
        }
        let text = AnswerText.extract(answer.text).text
        guard text.utf8.count < MathLimits.text, let node = MathGrader.readings(text).nodes.first else {
            let plain = AnswerText.compact(text)
            return plain.isEmpty ? nil : plain
        }
        return key(MathComparison.simplified(node)) ?? AnswerText.compact(text)
    }

    /// Nil for expressions that exact arithmetic cannot bring to a single form.
    private static func key(_ node: MathNode) -> String? {
        switch node {
        case .text(let words): return AnswerText.words(words)
        case .infinity: return "∞"
        case .numeral(let digits, let base): return "\(digits)_\(base)"
        case .percent(let value): return key(value).map { "\($0)%" }
        case .degrees(let value): return key(value)
        case .ratio(let parts): return keys(parts)?.joined(separator: ":")
        case .union(let parts): return keys(parts)?.sorted().joined(separator: "∪")
        case .matrix(let rows):
            let lines = rows.compactMap { keys($0)?.joined(separator: ",") }
            return lines.count == rows.count ? "[\(lines.joined(separator: ";"))]" : nil
        case .list(let parts, .pair(let opens, let closes)):
            return keys(parts).map { "\(opens ? "(" : "[")\($0.joined(separator: ","))\(closes ? ")" : "]")" }
        case .list(let parts, .none), .list(let parts, .braces):
            return keys(parts).map { "{\($0.sorted().joined(separator: ","))}" }
        // `x = 5` is the answer 5.
        case .relation(let parts, let relations):
            if let value = MathComparison.assigned(node) { return key(value) }
            return keys(parts).map { $0.joined(separator: relations.map(\.rawValue).joined(separator: " ")) }
        case .plusMinus: return nil
        default: return (try? Normalizer().form(node))?.key
        }
    }

    private static func keys(_ parts: [MathNode]) -> [String]? {
        let keys = parts.compactMap { key(MathComparison.simplified($0)) }
        return keys.count == parts.count ? keys : nil
    }
}
