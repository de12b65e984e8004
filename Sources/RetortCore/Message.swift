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

        public init(_ text: String, trainable: Bool = false) {
            self.text = text
            self.trainable = trainable
        }
    }

    /// Who speaks.
    public var role: Role
    /// The text, in order.
    public var spans: [Span]

    public init(role: Role, spans: [Span]) {
        self.role = role
        self.spans = spans
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
