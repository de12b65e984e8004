/// The forms in which trajectories are recorded.
public enum TrajectoryFormat: String, Codable, Sendable, CaseIterable {
    /// The format that the first records have.
    case auto
    /// Retort's own, one JSON object per line.
    case trajectories
    /// ToRA's samples (arXiv 2309.17452).
    case tora
    /// FireAct's ReAct texts (arXiv 2310.05915).
    case fireact
    /// ToolBench's answers and α-UMi's stages of them.
    case toolbench
    /// Documents of the Agent Trajectory Interchange Format.
    case atif
    /// Run logs of agent-distillation (arXiv 2505.17612).
    case distillationLog = "distillation-log"
    /// OpenAI's chat messages, with tool calls.
    case messages
    /// A prompt and its completion, as texts or messages.
    case promptCompletion = "prompt-completion"
    /// ShareGPT's `conversations`.
    case shareGPT = "sharegpt"
    /// The memory of smolagents' agents.
    case smolagents
    /// Session logs of Claude Code.
    case claudeCode = "claude-code"
    /// Session logs of Codex.
    case codex

    /// All formats except `auto`, in the order in which messages list them.
    public static let named = allCases.filter { $0 != .auto }
}
