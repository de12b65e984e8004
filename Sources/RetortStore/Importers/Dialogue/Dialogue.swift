import RetortCore

/// What was said, called and returned, in order: the form that chats, logs of agents and recordings share before they
/// become trajectories.
public struct Dialogue: Sendable, Hashable, Codable {
    /// A call of a tool.
    public struct Call: Sendable, Hashable, Codable {
        /// What its result names; nil where the format has no such thing.
        public var id: String?
        public var name: String
        public var arguments: JSONValue
        /// The arguments as they were written, where they are no JSON.
        public var spoiltArguments: String?

        public init(id: String?, name: String, arguments: JSONValue, spoiltArguments: String? = nil) {
            self.id = id
            self.name = name
            self.arguments = arguments
            self.spoiltArguments = spoiltArguments
        }

        /// A call whose arguments are a text of JSON, as models write them.
        public init(id: String?, name: String, text: String) {
            self.init(id: id, name: name, arguments: [:])
            guard text.contains(where: { !$0.isWhitespace }) else { return }
            if let value = try? ExactJSON.value(of: text) { arguments = value } else { spoiltArguments = text }
        }
    }

    /// One turn of the model.
    public struct Reply: Sendable, Hashable, Codable {
        /// What it thought to itself.
        public var thought: String
        /// What it said.
        public var text: String
        /// What it called, in order.
        public var calls: [Call]
        /// Why it would not answer; nil when it did not refuse.
        public var refusal: String?
        public var usage: Usage
        /// Whether a student may learn from it; nil is yes.
        public var isLearned: Bool?

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

    /// What a call brought.
    public struct Result: Sendable, Hashable, Codable {
        /// The call's id; nil where the format tells none.
        public var call: String?
        /// The tool's name; nil where the format tells none.
        public var name: String?
        public var text: String
        public var isError: Bool

        public init(call: String?, name: String? = nil, text: String, isError: Bool = false) {
            self.call = call
            self.name = name
            self.text = text
            self.isError = isError
        }
    }

    /// One thing that happened.
    public enum Entry: Sendable, Hashable, Codable {
        /// The model's instructions.
        case system(String)
        /// What the client told the model in the user's place.
        case context(String)
        case user(String)
        case reply(Reply)
        case result(Result)
    }

    public var entries: [Entry]

    public init(_ entries: [Entry] = []) { self.entries = entries }
}
