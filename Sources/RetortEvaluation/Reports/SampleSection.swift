import Foundation
import RetortCore

/// All trajectories, one part for each score, which the score's link opens.
enum SampleGroups {
    static func render(_ samples: [HTMLReport.Sample]) -> String {
        var order: [String] = []
        var groups: [String: [HTMLReport.Sample]] = [:]
        for sample in samples {
            let task = sample.trajectory.task
            let anchor = SampleSection.anchor(sample.system, task.family, task.split, sample.student)
            if groups[anchor] == nil { order.append(anchor) }
            groups[anchor, default: []].append(sample)
        }
        return order.map { anchor in
            let list = groups[anchor] ?? []
            guard let first = list.first else { return "" }
            let task = first.trajectory.task
            let correct = list.count { $0.verdict.isCorrect }
            return "<details class=\"group\" id=\"\(anchor.escaped)\"><summary>\(first.system.escaped) "
                + "\(first.student.escaped) · \(task.family.rawValue), \(task.split.escaped): "
                + "\(correct) of \(list.count) solved</summary>\(list.map(SampleSection.render).joined())</details>"
        }.joined()
    }
}

/// One trajectory as a part of the page that opens on a click.
enum SampleSection {
    static func anchor(
        _ system: String, _ family: AgentTask.Family, _ split: String, _ student: String? = nil
    ) -> String {
        [student ?? "", system.replacing("+", with: "-"), family.rawValue, split].filter { !$0.isEmpty }
            .joined(separator: "-").replacing(" ", with: "-")
    }

    static func render(_ sample: HTMLReport.Sample) -> String {
        let trajectory = sample.trajectory
        let mark = sample.verdict.isCorrect ? "✓" : "✗"
        let kind = sample.verdict.isCorrect ? "good" : "bad"
        let steps = trajectory.steps.map(step).joined()
        return """
            <details><summary><span class="\(kind)">\(mark)</span>
            \(trajectory.task.question.escaped)</summary>
            \(steps)
            <p>Answer: <b>\((trajectory.answer ?? "none").escaped)</b> · reference:
            \((trajectory.task.answers.first ?? "none").escaped) · \(sample.verdict.reason.escaped)</p></details>
            """
    }

    private static func step(_ step: Step) -> String {
        var parts = ["<div class=\"step\">"]
        if !step.thought.isEmpty { parts.append("<p class=\"thought\">\(step.thought.escaped)</p>") }
        switch step.action {
        case .code(let program): parts.append("<pre class=\"code\">\(CodeHighlighter.html(program))</pre>")
        case .toolCall(let name, let arguments):
            parts.append("<pre class=\"code\">\(name.escaped) \(arguments.jsonText.escaped)</pre>")
        case .unparsable(let text, _): parts.append("<pre class=\"code bad\">\(text.escaped)</pre>")
        case .answer, .giveUp: break
        }
        if !step.observation.text.isEmpty { parts.append("<pre class=\"seen\">\(step.observation.text.escaped)</pre>") }
        if step.candidates.count > 1 { parts.append(votes(step.candidates)) }
        return parts.joined() + "</div>"
    }

    private static func votes(_ candidates: [Candidate]) -> String {
        let items = candidates.map { candidate in
            let program = candidate.action.code ?? ""
            return "<li\(candidate.chosen ? " class=\"chosen\"" : "")><span>\(candidate.votes)</span>"
                + "<code>\(program.replacing("\n", with: "; ").escaped)</code></li>"
        }
        return "<details class=\"votes\"><summary>\(candidates.count) candidates and their votes</summary>"
            + "<ol>\(items.joined())</ol></details>"
    }
}

/// Colours for Python: keywords, texts, numbers and comments.
enum CodeHighlighter {
    private static let keywords: Set<String> = [
        "and", "as", "assert", "break", "class", "continue", "def", "del", "elif", "else", "except", "finally", "for",
        "from", "global", "if", "import", "in", "is", "lambda", "not", "or", "pass", "raise", "return", "try", "while",
        "with", "yield", "None", "True", "False",
    ]

    static func html(_ source: String) -> String {
        var html = ""
        var rest = source[...]
        while let first = rest.first {
            let token: Substring
            var kind: String?
            if first == "#" {
                token = rest.prefix { $0 != "\n" }
                kind = "c"
            } else if first == "\"" || first == "'" {
                token = text(rest, quote: first)
                kind = "s"
            } else if first.isLetter || first == "_" {
                token = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
                kind = keywords.contains(String(token)) ? "k" : nil
            } else if first.isNumber {
                token = rest.prefix { $0.isNumber || $0 == "." }
                kind = "n"
            } else {
                token = rest.prefix(1)
            }
            html += kind.map { "<i class=\"\($0)\">\(String(token).escaped)</i>" } ?? String(token).escaped
            rest = rest.dropFirst(token.count)
        }
        return html
    }

    private static func text(_ rest: Substring, quote: Character) -> Substring {
        var isEscaped = false
        for index in rest.indices.dropFirst() {
            if !isEscaped, rest[index] == quote || rest[index] == "\n" { return rest[...index] }
            isEscaped = !isEscaped && rest[index] == "\\"
        }
        return rest
    }
}
