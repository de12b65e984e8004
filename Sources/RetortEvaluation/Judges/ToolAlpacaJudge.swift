import RetortCore

/// ToolAlpaca's evaluation (arXiv 2306.05301, section 4; its `prompts/Evaluation.txt`): a model compares a run with the calls
/// that are known to solve the task, and marks its process (Proc.) and its final answer (Ans.).
///
/// Each reply is JSON with a verdict on both; the majority of several counts, and where there is none the run counts one
/// half. A run without a single call is wrong in both unasked, as in the original, and one without an answer of its own
/// is wrong in the answer.
public struct ToolAlpacaJudge: Sendable {
    /// What was judged.
    public struct Judgement: Codable, Sendable, Hashable {
        /// 0, ½ or 1.
        public var process: Double
        /// 0, ½ or 1.
        public var answer: Double
        /// The votes on the process; nil where nobody was asked.
        public var processVotes: JudgeVotes?
        /// The votes on the answer; nil where nobody was asked, or there was none.
        public var answerVotes: JudgeVotes?
        /// Replies that hold no verdict; they count as undecided votes.
        public var unreadable = 0
        /// In words: the judge's, of a vote with the majority, where it was asked.
        public var reason: String

        /// 1 when both are right, ½ when neither is wrong and not both are known to be right, else 0.
        public var both: Double { min(process, answer) }
    }

    private let panel: JudgePanel

    /// What a server that enforces schemas is told of a reply.
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
    ///   - temperature: of several votes; the original asks once, at 0.2.
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

        /// Whether it says of the process what the majority does.
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
    /// The calls that solve it, as ToolAlpaca's sets have them (`[{Action, Action_Input}]`); nil when nobody knows.
    public var expectedCalls: [JSONValue]? {
        metadata["golden"]?.array.flatMap { $0.isEmpty ? nil : $0 }
    }
}
