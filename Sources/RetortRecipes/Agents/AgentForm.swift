import RetortAgents
import RetortDomains

/// What an agent is shown and how it acts: a view, and who speaks in it.
public enum AgentForm: Codable, Sendable, Hashable {
    /// One model that writes Python.
    case code(Instructions)
    /// One model that thinks, calls and answers.
    case single(Roles)
    /// Planner, caller and summarizer (α-UMi).
    case team(Roles)
    /// A chain of thought, over passages fetched for the question or without.
    case reasoning(Instructions, retrieves: Bool)

    /// How those who call tools are shown things.
    public struct Roles: Sendable, Hashable {
        public var instructions: Instructions
        /// What a call looks like.
        public var calls: RoleView.CallForm
        /// What they see of an observation, at most.
        public var observationCharacters: Int
        /// Whether they are held to their grammars.
        public var outputs: OutputConstraint

        public init(
            _ instructions: Instructions = .brief, calls: RoleView.CallForm = .json,
            observationCharacters: Int = RoleView.usualObservationLimit, outputs: OutputConstraint = .free
        ) {
            self.instructions = instructions
            self.calls = calls
            self.observationCharacters = observationCharacters
            self.outputs = outputs
        }
    }

    /// Who speaks.
    public var roles: [AgentRole] { if case .team = self { [.planner, .caller, .summarizer] } else { [.backbone] } }

    /// How its sessions are acted in; nil for one that answers in one go.
    public var action: ActionForm? {
        switch self {
        case .code: .code
        case .single(let form), .team(let form): form.calls == .json ? .json : .code
        case .reasoning: nil
        }
    }

    // MARK: As JSON

    private enum Kind: String, Codable { case code, single, team, reasoning }

    private enum CodingKeys: String, CodingKey {
        case kind, instructions, calls, observationCharacters, outputs, retrieves
    }

    /// Reads what `encode(to:)` writes.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let kind = try fields.decode(Kind.self, forKey: .kind)
        let instructions = try fields.decode(Instructions.self, forKey: .instructions)
        switch kind {
        case .code: self = .code(instructions)
        case .reasoning: self = .reasoning(instructions, retrieves: try fields.decode(Bool.self, forKey: .retrieves))
        case .single, .team:
            let form = Roles(
                instructions, calls: try fields.decode(RoleView.CallForm.self, forKey: .calls),
                observationCharacters: try fields.decode(Int.self, forKey: .observationCharacters),
                outputs: try fields.decode(OutputConstraint.self, forKey: .outputs))
            self = kind == .team ? .team(form) : .single(form)
        }
    }

    /// Writes what `init(from:)` reads.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        func write(_ kind: Kind, _ form: Roles) throws {
            try fields.encode(kind, forKey: .kind)
            try fields.encode(form.instructions, forKey: .instructions)
            try fields.encode(form.calls, forKey: .calls)
            try fields.encode(form.observationCharacters, forKey: .observationCharacters)
            try fields.encode(form.outputs, forKey: .outputs)
        }
        switch self {
        case .code(let instructions):
            try fields.encode(Kind.code, forKey: .kind)
            try fields.encode(instructions, forKey: .instructions)
        case .reasoning(let instructions, let retrieves):
            try fields.encode(Kind.reasoning, forKey: .kind)
            try fields.encode(instructions, forKey: .instructions)
            try fields.encode(retrieves, forKey: .retrieves)
        case .single(let form): try write(.single, form)
        case .team(let form): try write(.team, form)
        }
    }
}
