/// Who speaks in a chat.
public enum Role: String, Codable, Sendable, CaseIterable {
    case system, user, assistant, tool
}

/// One chat message, made of spans that are each marked trainable or not.
///
/// A `View` makes messages; a chat template turns them into tokens. The mark travels with the text, so the loss mask of
/// a training example is never searched for afterwards.
public struct Message: Codable, Sendable, Hashable {
    /// A piece of a message's text.
    public struct Span: Codable, Sendable, Hashable {
        /// The text, as the model sees it.
        public var text: String
        /// Whether a student learns to write this text.
        public var trainable: Bool

        /// A text that nobody learns to write, unless said otherwise.
        public init(_ text: String, trainable: Bool = false) {
            self.text = text
            self.trainable = trainable
        }
    }

    /// What a chat of OpenAI's form says of a message besides its text. Chat templates write it in their own way.
    public struct Details: Codable, Sendable, Hashable {
        /// Functions that the message calls: a JSON array in OpenAI's form, whose members are written in the order they
        /// have here.
        public var calls: String?
        /// Which call a tool answers.
        public var callID: String?
        /// Who speaks, by name: of a tool, which one.
        public var name: String?
        /// What was thought before the text.
        public var reasoning: String?

        /// Nothing but what is said here.
        public init(
            calls: String? = nil, callID: String? = nil, name: String? = nil, reasoning: String? = nil
        ) {
            self.calls = calls
            self.callID = callID
            self.name = name
            self.reasoning = reasoning
        }
    }

    /// Who speaks.
    public var role: Role
    /// The text, in order.
    public var spans: [Span]
    /// What is said besides; nil for nothing.
    public var details: Details?

    /// A message of several spans.
    public init(role: Role, spans: [Span], details: Details? = nil) {
        self.role = role
        self.spans = spans
        self.details = details
    }

    /// A message of one span.
    public init(_ role: Role, _ text: String, trainable: Bool = false) {
        self.init(role: role, spans: [Span(text, trainable: trainable)])
    }

    /// The whole text.
    public var text: String { spans.map(\.text).joined() }

    /// Whether the message as a whole, with its end-of-turn token, is something the student learns to write.
    public var endsTrainable: Bool { spans.last?.trainable ?? false }
}
