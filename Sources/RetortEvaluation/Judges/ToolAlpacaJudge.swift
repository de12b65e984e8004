import RetortCore

/// ToolAlpaca's evaluation (arXiv 2306.05301, section 4; its `prompts/Evaluation.txt`): a model compares a run with the
/// calls that are known to solve the task, and grades its process (Proc.) and its final answer (Ans.).
///
/// Each reply is JSON with a verdict on both; the majority of several counts, and without a majority the run counts one
/// half. A run without a single call is wrong in both without asking, as in the original, and one without an answer of
/// its own is wrong in the answer.
public struct ToolAlpacaJudge: Sendable {
    /// The result for a run.
    public struct Judgement: Codable, Sendable, Hashable {
        /// The score of the calls: 0, ½ or 1.
        public var process: Double
        /// The score of the answer: 0, ½ or 1.
        public var answer: Double
        /// The votes on the process; nil where the judge was not asked.
        public var processVotes: JudgeVotes?
        /// The votes on the answer; nil where the judge was not asked, or there was no answer.
        public var answerVotes: JudgeVotes?
        /// Replies without a verdict; they count as undecided votes.
        public var unreadable = 0
        /// The judge's analysis, from a vote with the majority; where it was not asked, why.
        public var reason: String

        /// 1 when both are right, ½ when neither is wrong and not both are known to be right, else 0.
        public var both: Double { min(process, answer) }
    }

    private let panel: JudgePanel

    /// The JSON schema of a reply, for servers that enforce one.
    public static let replySchema: JSONValue = [
        "type": "object",
        "properties": [
            "analysis": ["type": "string"], "process": ["type": "string", "enum": ["yes", "no", "unsure"]],
            "answer": ["type": "string", "enum": ["yes", "no", "unsure"]],
        ],
        "required": ["analysis", "process", "answer"], "additionalProperties": false,
    ]

    /// - Parameters:
    ///   - votes: how often a question is asked; an odd number leaves fewer ties.
    ///   - temperature: the temperature of several votes; the original asks once, at 0.2.
    public init(model: any LanguageModel, votes: Int = 3, temperature: Double = 0.7) {
        panel = JudgePanel(model: model, votes: votes, temperature: temperature, maximumTokens: 1024)
    }

    /// Judges a run.
    /// - Throws: `JudgeError.noReference` for a task without expected calls, and what the model throws.
    public func judge(_ run: Trajectory) async throws -> Judgement {
        guard let expected = run.task.expectedCalls else { throw JudgeError.noReference(run.task.id) }
        guard run.steps.contains(where: { $0.action.toolName != nil }) else {
            return Judgement(process: 0, answer: 0, reason: "no call was made")
        }
        let question = JudgeQuestion.matches(run, expected)
        let replies = try await panel.replies(to: question, seed: "\(run.id) \(question)")
        let votes = replies.map { JudgeReply.last(Vote.self, in: $0) }
        let process = votes.reduce(into: JudgeVotes()) { $0.add($1?.process.lowercased()) }
        let read = votes.compactMap(\.self)
        let reason =
            read.isEmpty
            ? "no reply could be read"
            : read.first { $0.agrees(process.score) }?.analysis ?? "the votes are divided"
        var judgement = Judgement(
            process: process.score, answer: 0, processVotes: process, unreadable: votes.count - read.count,
            reason: reason)
        guard case .answered = run.ending else { return judgement }
        let answer = votes.reduce(into: JudgeVotes()) { $0.add($1?.answer.lowercased()) }
        (judgement.answer, judgement.answerVotes) = (answer.score, answer)
        return judgement
    }

    private struct Vote: Decodable {
        var analysis: String?
        var process: String
        var answer: String

        /// Whether its verdict on the process is that of the majority.
        func agrees(_ score: Double) -> Bool {
            switch process.lowercased() {
            case "yes": score == 1
            case "no": score == 0
            default: score == 0.5
            }
        }
    }
}

extension AgentTask {
    /// The calls that solve it, as in ToolAlpaca's sets (`[{Action, Action_Input}]`); nil when they are unknown.
    public var expectedCalls: [JSONValue]? {
        metadata["golden"]?.array.flatMap { $0.isEmpty ? nil : $0 }
    }
}
