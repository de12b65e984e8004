import RetortCore

/// What was said, called and returned, in order: the common form of chats, logs of agents and recordings before they
/// become trajectories.
public struct Dialogue: Sendable, Hashable, Codable {
    /// A call of a tool.
    public struct Call: Sendable, Hashable, Codable {
        /// The id that its result refers to; nil where the format has none.
        public var id: String?
        /// The tool's name.
        public var name: String
        /// The arguments, normally an object.
        public var arguments: JSONValue
        /// The arguments as written, where they are not valid JSON.
        public var spoiltArguments: String?

        /// A call with its arguments as JSON.
        public init(id: String?, name: String, arguments: JSONValue, spoiltArguments: String? = nil) {
            self.id = id
            self.name = name
            self.arguments = arguments
            self.spoiltArguments = spoiltArguments
        }

        /// A call whose arguments are JSON text, as models write them; an empty text stands for no arguments.
        public init(id: String?, name: String, text: String) {
            self.init(id: id, name: name, arguments: [:])
            guard text.contains(where: { !$0.isWhitespace }) else { return }
            if let value = try? ExactJSON.value(of: text) { arguments = value } else { spoiltArguments = text }
        }
    }

    /// One turn of the model.
    public struct Reply: Sendable, Hashable, Codable {
        /// The model's private reasoning.
        public var thought: String
        /// What the model said.
        public var text: String
        /// What the model called, in order.
        public var calls: [Call]
        /// Why the model refused to answer; nil when it did not refuse.
        public var refusal: String?
        /// What the turn cost.
        public var usage: Usage
        /// Whether a student may learn from it; nil means yes.
        public var isLearned: Bool?

        /// A turn that a student may learn from.
        public init(
            thought: String = "", text: String = "", calls: [Call] = [], refusal: String? = nil, usage: Usage = Usage()
        ) {
            self.thought = thought
            self.text = text
            self.calls = calls
            self.refusal = refusal
            self.usage = usage
        }
    }

    /// The result of a call.
    public struct Result: Sendable, Hashable, Codable {
        /// The call's id; nil where the format has none.
        public var call: String?
        /// The tool's name; nil where the format has none.
        public var name: String?
        /// The result's text.
        public var text: String
        /// Whether the call failed.
        public var isError: Bool

        /// A result; not a failure by default.
        public init(call: String?, name: String? = nil, text: String, isError: Bool = false) {
            self.call = call
            self.name = name
            self.text = text
            self.isError = isError
        }
    }

    /// One event.
    public enum Entry: Sendable, Hashable, Codable {
        /// The model's instructions.
        case system(String)
        /// What the client told the model in the user's place.
        case context(String)
        /// What the user said.
        case user(String)
        /// A turn of the model.
        case reply(Reply)
        /// The result of a call.
        case result(Result)
    }

    /// The events in order.
    public var entries: [Entry]

    /// A dialogue of events.
    public init(_ entries: [Entry] = []) { self.entries = entries }
}

extension Dialogue {
    /// Whether formats tell tools' results under a role, which is given in small letters.
    static func tellsResults(_ role: String) -> Bool { resultRoles.contains(role.replacing("_", with: "-")) }

    private static let resultRoles: Set = [
        "tool", "function", "tool-response", "tool-result", "tool-output", "function-response", "observation",
        "ipython", "environment",
    ]
}
