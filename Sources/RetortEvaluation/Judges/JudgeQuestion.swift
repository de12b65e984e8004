import RetortCore

/// What a judge is asked, and how its word is read. Every question ends with the form of the verdict's line.
enum JudgeQuestion {
    static func solved(_ task: AgentTask, _ answer: String) -> String {
        """
        Someone asked an assistant with tools for something. Judge whether the assistant's answer fulfils all of the \
        request. An answer that only says it could not be done, or that leaves a part out, does not.

        Request:
        \(task.question)

        Answer:
        \(answer)

        Think in a few sentences, then end with one line: Verdict: yes, Verdict: no, or Verdict: unsure.
        """
    }

    static func solvable(_ run: Trajectory) -> String {
        """
        Someone asked an assistant with tools for something, and the assistant gave up. Judge from the request, the tools \
        and what they answered whether the request could have been fulfilled.

        Request:
        \(run.task.question)

        Tools:
        \(run.task.tools.map(\.line).joined(separator: "\n"))

        What was done:
        \(work(run))

        Think in a few sentences, then end with one line: Verdict: yes, Verdict: no, or Verdict: unsure.
        """
    }

    static func better(_ a: Trajectory, _ b: Trajectory) -> String {
        """
        Two assistants with tools worked on the same request. Judge which did better: first by how much of the request is \
        fulfilled and true to what the tools said, then by how directly it was done.

        Request:
        \(a.task.question)

        Assistant A:
        \(work(a))

        Assistant B:
        \(work(b))

        Think in a few sentences, then end with one line: Verdict: A, Verdict: B, or Verdict: equal.
        """
    }

    /// A run's steps and end, each line short.
    private static func work(_ run: Trajectory) -> String {
        var lines = run.steps.map { step -> String in
            switch step.action {
            case .toolCall(let name, let arguments):
                "\(name) \(arguments.jsonText.prefix(500)) gave \(step.observation.text.prefix(500))"
            case .code(let program): "ran \(program.prefix(500)) and saw \(step.observation.text.prefix(500))"
            case .answer, .giveUp: ""
            case .unparsable: "wrote something unreadable"
            }
        }
        lines.append("In the end: \(run.answer.map { "it answered: \($0)" } ?? "it gave no answer")")
        return lines.filter { !$0.isEmpty }.joined(separator: "\n")
    }

    /// The word behind the last `Verdict:`, when it is one of those asked for.
    static func verdict(_ text: String, among words: [String]) -> String? {
        guard let mark = text.lowercased().ranges(of: "verdict:").last else { return nil }
        let word = text.lowercased()[mark.upperBound...].drop { !$0.isLetter }.prefix { $0.isLetter }
        return words.contains(String(word)) ? String(word) : nil
    }
}
