import RetortCore

/// The step at which a run went wrong, as far as the record shows it.
///
/// The search has this order: steps at the end that all failed; the step that departed from a run that solved the same
/// task; the step after which an answer that had been seen was ignored; a search that never showed the answer. The
/// words say which of these was found.
package struct FirstFault: Sendable, Hashable {
    /// The step's index, from 0; nil where no step can be named.
    package let step: Int?
    /// The finding, in a sentence.
    package let words: String

    /// Nil for a run that was graded right, and where nothing can be said.
    /// - Parameters:
    ///   - verdict: its grade; nil for a run that was not graded.
    ///   - solved: runs of the same task that were graded right.
    package init?(_ trajectory: Trajectory, verdict: Verdict?, solved: [Trajectory] = []) {
        guard verdict?.isCorrect != true else { return nil }
        if case .failed(let reason)? = trajectory.ending {
            let last = trajectory.steps.indices.last
            self.init(last, "The run broke\(last == nil ? " before its first step" : " after this step"): \(reason)")
        } else if let fault = Self.failing(trajectory) ?? Self.diverging(trajectory, solved)
            ?? Self.overlooked(trajectory)
        {
            self = fault
        } else if verdict != nil, !trajectory.steps.isEmpty {
            self.init(nil, "No step of its own can be named: the answer is wrong, and nothing recorded tells more.")
        } else {
            return nil
        }
    }

    private init(_ step: Int?, _ words: String) { (self.step, self.words) = (step, words) }

    /// The first of the failed steps at the end.
    private static func failing(_ trajectory: Trajectory) -> FirstFault? {
        let steps = trajectory.steps
        let acting = steps.indices.last { index in
            if case .answer = steps[index].action { false } else { true }
        }
        guard let acting else { return nil }
        var first: Int?
        for index in stride(from: acting, through: 0, by: -1) {
            guard steps[index].observation.outcome.isFailure else { break }
            first = index
        }
        guard let first else { return nil }
        let kind =
            switch steps[first].observation.outcome {
            case .parseError: "no action could be read in the text"
            case .executionError(let type, _): type.isEmpty ? "the action failed" : "\(type)"
            case .timeout: "the time ran out"
            case .success, .final: ""
            }
        return FirstFault(first, "From here on nothing worked: \(kind).")
    }

    /// The step that departed from the solving run with the longest common beginning.
    private static func diverging(_ trajectory: Trajectory, _ solved: [Trajectory]) -> FirstFault? {
        let own = trajectory.steps.map(\.deed)
        let shared = solved.map { other in (zip(own, other.steps.map(\.deed)).prefix { $0 == $1 }.count, other) }
        guard let (count, other) = shared.max(by: { $0.0 < $1.0 }), count < own.count else { return nil }
        let name = "\(other.provenance.policy), attempt \(other.provenance.attempt)"
        return count == 0
            ? nil
            : FirstFault(count, "Up to here a run that solved the task did the same (\(name)); here it did otherwise.")
    }

    /// The step where the reference was in sight, or a note that it never was.
    private static func overlooked(_ trajectory: Trajectory) -> FirstFault? {
        let references = trajectory.task.answers.map { $0.lowercased() }.filter { $0.count > 2 }
        guard !references.isEmpty, trajectory.toolCallCount > 0 else { return nil }
        let seen = trajectory.steps.lastIndex { step in
            let text = step.observation.text.lowercased()
            return references.contains(where: text.contains)
        }
        if let seen, seen + 1 < trajectory.steps.count {
            return FirstFault(seen + 1, "The step before showed the reference answer; this one passed it over.")
        }
        guard seen == nil else { return nil }
        let last = trajectory.steps.lastIndex { !$0.observation.toolCalls.isEmpty }
        return FirstFault(last, "The reference answer was never seen; this was the last search for it.")
    }
}

extension Step {
    /// The action, without its surrounding words and blanks.
    fileprivate var deed: String {
        switch action {
        case .code(let program):
            program.split(whereSeparator: \.isNewline)
                .map { line in line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
                .filter { !$0.isEmpty }.joined(separator: "\n")
        case .toolCall(let name, let arguments): "\(name) \(arguments.jsonText)"
        case .answer(let value): "answer \(value.text)"
        case .giveUp: "give up"
        case .unparsable(let text, _): text
        }
    }
}
