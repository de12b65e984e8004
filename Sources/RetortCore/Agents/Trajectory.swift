/// What happened while a task was worked on: append-only facts, with no prompt text of any role in them.
public struct Trajectory: Codable, Sendable, Hashable, Identifiable {
    /// Unique in a store: the task's id, the policy's name and the attempt.
    public var id: String
    /// The task worked on.
    public var task: AgentTask
    /// Who worked on it, and how it can be repeated.
    public var provenance: Provenance
    /// The steps so far, in order.
    public private(set) var steps: [Step]
    /// How it ended; nil while it is under way.
    public private(set) var ending: Ending?
    /// The state that the environment was left in, where it tells one; nil where it does not.
    public var state: JSONValue?

    /// A trajectory before its first step.
    /// - Parameter id: nil makes one of the task, the policy and the attempt.
    public init(task: AgentTask, provenance: Provenance, id: String? = nil) {
        self.id = id ?? "\(task.id)/\(provenance.policy)/\(provenance.attempt)"
        self.task = task
        self.provenance = provenance
        self.steps = []
    }

    /// Adds what happened next.
    public mutating func append(_ step: Step) { steps.append(step) }

    /// Closes the trajectory. The first ending stands.
    public mutating func end(_ ending: Ending) {
        if self.ending == nil { self.ending = ending }
    }

    /// The same trajectory with other steps, and another ending where one is given; all else that is known of it stays.
    public func with(steps: [Step], ending: Ending? = nil) -> Trajectory {
        var copy = self
        copy.steps = steps
        copy.ending = ending ?? self.ending
        return copy
    }

    /// Notes that the run broke after it had ended: nothing that it answered counts.
    public mutating func fail(_ reason: String) { ending = .failed(reason) }

    /// The final answer's text, or nil when the run gave none.
    public var answer: String? {
        switch ending {
        case .answered(let value), .forced(let value): value.text
        case .gaveUp, .failed, nil: nil
        }
    }

    /// Tokens and seconds, over all steps.
    public var usage: Usage { steps.reduce(Usage()) { $0 + $1.usage } }

    /// How many tool calls were made, over all steps.
    public var toolCallCount: Int { steps.reduce(0) { $0 + $1.observation.toolCalls.count } }
}

/// How a trajectory ended.
public enum Ending: Codable, Sendable, Hashable {
    /// The agent answered by itself.
    case answered(JSONValue)
    /// The step limit was reached and the agent was asked for its answer.
    case forced(JSONValue)
    /// The agent gave up, or had no answer when asked for one.
    case gaveUp(String)
    /// The run broke: the model or the environment failed. Never scored as correct.
    case failed(String)
}

/// Who made a trajectory, and what repeats it.
public struct Provenance: Codable, Sendable, Hashable {
    /// The policy's name, such as `agent` or `cot`.
    public var policy: String
    /// The model's identity, such as `seedling-3m` or a checkpoint's path.
    public var model: String
    /// The seed of the run.
    public var seed: UInt64
    /// Which of several trajectories for the same task, from 0.
    public var attempt: Int
    /// Identifies the prompt's fixed text (`View.identity`); nil when it is not known.
    public var prompt: String?
    /// The version of Retort that made it; nil for what others made.
    public var version: String?

    /// - Parameters:
    ///   - seed: what its sampling was drawn with.
    ///   - attempt: counts from 0 among those of one task.
    public init(
        policy: String, model: String, seed: UInt64 = 0, attempt: Int = 0, prompt: String? = nil, version: String? = nil
    ) {
        self.policy = policy
        self.model = model
        self.seed = seed
        self.attempt = attempt
        self.prompt = prompt
        self.version = version
    }
}

/// One turn: a thought, an action and what was observed.
public struct Step: Codable, Sendable, Hashable {
    /// Who spoke: `agent`, or a role's name (`planner`, `caller`, `summarizer`), or `retriever`.
    public var speaker: String
    /// The reasoning before the action.
    public var thought: String
    /// What was decided.
    public var action: Action
    /// What came of it.
    public var observation: Observation
    /// What the model spent on it, candidates that lost included.
    public var usage: Usage
    /// The samples that were considered, the chosen one among them. Empty when only one was made.
    public var candidates: [Candidate]
    /// What the model wrote, where thought and action alone do not tell; nil when no model's text is known.
    public var transcript: Transcript?
    /// What the user said before this step, after the question; nil when nothing.
    public var remarks: [String]?
    /// The action as it was written, where its canonical text would differ; nil where it would not.
    public var wording: String?
    /// Whether a student may learn from it; nil is yes. A file of chats can mark turns that are only shown (OpenAI's `weight: 0`).
    public var isLearned: Bool?

    /// A step that was taken, with what came of it.
    public init(
        speaker: String = "agent", thought: String, action: Action, observation: Observation, usage: Usage = Usage(),
        candidates: [Candidate] = [], transcript: Transcript? = nil, remarks: [String]? = nil, wording: String? = nil
    ) {
        self.remarks = remarks
        self.wording = wording
        self.speaker = speaker
        self.thought = thought
        self.action = action
        self.observation = observation
        self.usage = usage
        self.candidates = candidates
        self.transcript = transcript
    }
}

/// How far the text a view writes for a step is the text its model wrote.
public enum Transcript: Codable, Sendable, Hashable {
    /// The server told the token ids, so nothing needs to be written again.
    case tokens(TokenIDs)
    /// Thought and action, written by the view again, give the model's text.
    case same
    /// They do not: a student would learn another text than `text`, which the model wrote.
    case drifted(text: String)
}

/// The tokens of a request and of what the model wrote, by the model's own tokenizer.
public struct TokenIDs: Codable, Sendable, Hashable {
    /// The whole prompt, as the server's template wrote it.
    public var prompt: [Int32]
    /// What the model wrote, its end-of-turn token included where the server tells it.
    public var completion: [Int32]

    /// Tokens as a server told them.
    public init(prompt: [Int32], completion: [Int32]) {
        self.prompt = prompt
        self.completion = completion
    }
}

/// One of several sampled actions of a step, and how it fared in the vote.
public struct Candidate: Codable, Sendable, Hashable {
    /// Its reasoning.
    public var thought: String
    /// Its action.
    public var action: Action
    /// What came of it in its own fork; nil when it was not run.
    public var observation: Observation?
    /// How many candidates agreed with it, itself included; 0 when it failed.
    public var votes: Int
    /// Whether it became the step.
    public var chosen: Bool

    /// - Parameter observation: nil for one that was not run.
    public init(thought: String, action: Action, observation: Observation?, votes: Int = 0, chosen: Bool = false) {
        self.thought = thought
        self.action = action
        self.observation = observation
        self.votes = votes
        self.chosen = chosen
    }
}

/// What was spent: tokens and wall-clock seconds.
///
/// Counts come from strangers' servers and files; they are kept within 0…2⁴⁴, so that sums of them are numbers.
public struct Usage: Codable, Sendable, Hashable {
    /// Tokens of the prompts.
    public var promptTokens: Int { didSet { promptTokens = Self.bounded(promptTokens) } }
    /// Tokens the model wrote.
    public var completionTokens: Int { didSet { completionTokens = Self.bounded(completionTokens) } }
    /// Wall-clock time in the model, in seconds.
    public var seconds: Double

    /// Nothing, unless said.
    public init(promptTokens: Int = 0, completionTokens: Int = 0, seconds: Double = 0) {
        self.promptTokens = Self.bounded(promptTokens)
        self.completionTokens = Self.bounded(completionTokens)
        self.seconds = seconds
    }

    /// Reads the three figures.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            promptTokens: try container.decode(Int.self, forKey: .promptTokens),
            completionTokens: try container.decode(Int.self, forKey: .completionTokens),
            seconds: try container.decode(Double.self, forKey: .seconds))
    }

    /// More than any run spends.
    private static let most = 1 << 44

    private static func bounded(_ count: Int) -> Int { min(max(count, 0), most) }

    /// The sum of two expenditures.
    public static func + (left: Usage, right: Usage) -> Usage {
        Usage(
            promptTokens: left.promptTokens + right.promptTokens,
            completionTokens: left.completionTokens + right.completionTokens, seconds: left.seconds + right.seconds)
    }
}
