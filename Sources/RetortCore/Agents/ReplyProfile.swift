/// How a model's chat template writes a call of a function, and so how the model was trained to write one.
public enum ToolCallForm: String, Sendable, Hashable, CaseIterable {
    /// `<tool_call>{"name", "arguments"}</tool_call>` (Hermes, Qwen).
    case tagged
    /// `{"name", "parameters"}` as the whole turn (Llama 3).
    case parameters
    /// `<function=NAME>{…}</function>`.
    case function
    /// `[TOOL_CALLS][{"name", "arguments"}, …]` (Mistral).
    case list
    /// `[TOOL_CALLS]NAME[ARGS]{…}` (Mistral, since 2025).
    case named
    /// `<|tool_call|>[{"name", "arguments"}, …]<|/tool_call|>` (Phi-4-mini).
    case piped
    /// `{"name", "arguments"}` as the whole turn.
    case object
    /// The same in a code fence.
    case fenced
    /// `<tool_call><function=NAME><parameter=KEY>…</parameter></function></tool_call>` (Qwen3-Coder).
    case elements
}

/// What is known of how a model replies, before it is asked.
public struct ReplyProfile: Sendable, Hashable {
    /// How it calls functions; nil where its chat template does not tell.
    public var calls: ToolCallForm?
    /// Whether the prompt ends inside of `<think>`, so that the reply begins with a thought.
    public var opensThought: Bool
    /// How its tokens are drawn when a request does not say.
    public var sampling: SamplingDefaults

    /// A model that nothing is known of, unless said otherwise.
    public init(
        calls: ToolCallForm? = nil, opensThought: Bool = false, sampling: SamplingDefaults = SamplingDefaults()
    ) {
        self.calls = calls
        self.opensThought = opensThought
        self.sampling = sampling
    }
}

/// How the makers of a model draw its tokens (`generation_config.json`). Each is nil where they do not say.
public struct SamplingDefaults: Sendable, Hashable {
    /// 0 is greedy.
    public var temperature: Double?
    /// The share of probability that is kept, 0 to 1.
    public var topP: Double?
    /// How many tokens are kept; 0 keeps all.
    public var topK: Int?

    /// Nothing said, unless said here.
    public init(temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil) {
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
    }
}
