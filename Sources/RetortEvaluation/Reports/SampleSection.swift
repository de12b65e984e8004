import Foundation
import RetortCore

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
        let (kind, mark, word) = sample.verdict.isCorrect ? ("good", "✓", "solved") : ("bad", "✗", "not solved")
        let steps = trajectory.steps.enumerated().map { step($1, number: $0 + 1) }.joined()
        return """
            <details class="run \(word.replacing(" ", with: "-"))"><summary><span class="\(kind)" role="img" aria-label="\(word)">\(mark)</span>
            \(trajectory.task.question.escaped) <small>\(measure(trajectory).escaped)</small></summary>
            <ol class="steps">\(steps)</ol>
            <p class="outcome">\(ending(trajectory.ending)): <b>\((trajectory.answer ?? "none").escaped)</b> · reference:
            <b>\(trajectory.task.answers.joined(separator: " or ").escaped)</b> · <span class="\(kind)">\(word)</span>:
            \(sample.verdict.reason.escaped)</p></details>
            """
    }

    private static func measure(_ trajectory: Trajectory) -> String {
        let usage = trajectory.usage
        let calls = trajectory.toolCallCount
        return [
            count(trajectory.steps.count, "step"), calls > 0 ? count(calls, "tool call") : "",
            count(usage.completionTokens, "token"),
        ].filter { !$0.isEmpty }.joined(separator: " · ")
    }

    private static func count(_ number: Int, _ word: String) -> String { "\(number) \(word)\(number == 1 ? "" : "s")" }

    private static func ending(_ ending: Ending?) -> String {
        switch ending {
        case .answered: "Answer"
        case .forced: "Answer, asked for when no step was left"
        case .gaveUp(let reason): "Gave up (\(reason.escaped)); answer"
        case .failed(let reason): "Failed (\(reason.escaped)); answer"
        case nil: "Unfinished; answer"
        }
    }

    // MARK: Steps

    private static func step(_ step: Step, number: Int) -> String {
        var parts = ["<li class=\"step\"><p class=\"who\">\(number) · \(step.speaker.escaped)\(cost(step))</p>"]
        if !step.thought.isEmpty { parts.append("<p class=\"thought\">\(step.thought.escaped)</p>") }
        parts.append(action(step.action))
        parts.append(observation(step.observation))
        if step.candidates.count > 1 { parts.append(votes(step.candidates)) }
        return parts.joined() + "</li>"
    }

    private static func cost(_ step: Step) -> String {
        step.usage.completionTokens > 0 ? " · \(count(step.usage.completionTokens, "token"))" : ""
    }

    private static func action(_ action: Action) -> String {
        switch action {
        case .code(let program): "<pre class=\"code\">\(CodeHighlighter.html(program))</pre>"
        case .toolCall(let name, let arguments):
            "<pre class=\"code\">\(name.escaped) \(arguments.jsonText.escaped)</pre>"
        case .unparsable(let text, _): "<pre class=\"code\">\(text.escaped)</pre>"
        case .answer(let value): "<p class=\"thought\">Answer: <b>\(value.text.escaped)</b></p>"
        case .giveUp(let reason): "<p class=\"thought\">Gives up: \(reason.escaped)</p>"
        }
    }

    private static func observation(_ observation: Observation) -> String {
        let kind =
            switch observation.outcome {
            case .success: "observed"
            case .final: "final answer"
            case .parseError: "no action was found"
            case .executionError(let type, _): "error: \(type)"
            case .timeout(let seconds): "stopped after \(HTMLTable.number(seconds)) seconds"
            }
        let isFailure = observation.outcome.isFailure
        guard !observation.text.isEmpty || isFailure else { return "" }
        let failedCalls = observation.toolCalls.filter { $0.error != nil }.map {
            "<p class=\"who bad\">\($0.name.escaped) failed: \(($0.error ?? "").escaped)</p>"
        }
        return "<p class=\"who\(isFailure ? " bad" : "")\">\(kind.escaped)</p>"
            + (observation.text.isEmpty ? "" : "<pre class=\"seen\">\(observation.text.escaped)</pre>")
            + failedCalls.joined()
    }

    // MARK: Votes

    /// Candidates with the same action are one entry.
    private static func votes(_ candidates: [Candidate]) -> String {
        let different = candidates.reduce(into: [Candidate]()) { list, candidate in
            if let same = list.firstIndex(where: { $0.action == candidate.action }) {
                if candidate.chosen { list[same] = candidate }
            } else {
                list.append(candidate)
            }
        }
        let items = different.sorted { ($1.votes, $0.chosen ? 1 : 0) < ($0.votes, $1.chosen ? 1 : 0) }.map {
            candidate in
            let samples = candidates.count { $0.action == candidate.action }
            let share = 100 * candidate.votes / max(candidates.count, 1)
            return
                "<li\(candidate.chosen ? " class=\"chosen\"" : "")><p class=\"who\"><i class=\"bar\" style=\"width:\(share)px\">"
                + "</i> \(count(candidate.votes, "vote"))\(candidate.chosen ? ", chosen" : "") · \(count(samples, "sample"))</p>"
                + (candidate.action.code == nil && !candidate.thought.isEmpty
                    ? "<p class=\"thought\">\(candidate.thought.escaped)</p>" : "")
                + action(candidate.action) + (candidate.observation.map(observation) ?? "") + "</li>"
        }
        return "<details class=\"votes\"><summary>\(candidates.count) candidates and their votes, "
            + "\(different.count) different</summary><ol>\(items.joined())</ol></details>"
    }
}
