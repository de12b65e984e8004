import RetortCore

/// The Agent Trajectory Interchange Format, version 1.7 (github.com/laude-institute/harbor,
/// `harbor.models.trajectories`).
///
/// What the format has no field for is kept in its `extra` members, under `retort`, so that a trajectory of Retort is
/// read back unchanged; a trajectory of others is read from the format's own fields.
enum ATIF {
    static let version = "ATIF-v1.7"
    static let ours = "retort"
    /// The name of the call that stands for a Python program.
    static let program = "python"
    static let programArgument = "code"

    /// Steps' facts that the format has no field for.
    struct StepFacts: Codable {
        var speaker: String
        /// The action, where the call alone does not determine it.
        var action: Action?
        /// The observation without its text, which is in the format's own field.
        var observation: Observation
        var seconds: Double
        var candidates: [Candidate]
        var transcript: Transcript?
        var remarks: [String]?
        var wording: String?
        var isLearned: Bool?
    }

    /// A trajectory's facts that the format has no field for.
    struct Facts: Codable {
        var task: AgentTask
        var provenance: Provenance
        var ending: Ending?
        var state: JSONValue?
    }

    /// Whether the format's own call determines the action.
    static func isTold(_ action: Action) -> Bool {
        switch action {
        case .code: true
        case .toolCall(let name, let arguments):
            arguments.object != nil && !(name == program && arguments.object?.keys.sorted() == [programArgument])
        case .answer, .giveUp, .unparsable: false
        }
    }
}
