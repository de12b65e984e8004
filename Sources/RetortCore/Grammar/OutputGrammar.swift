/// What a completion may be: a model that honours it can write nothing else.
public indirect enum OutputGrammar: Sendable, Hashable {
    /// Exactly this text.
    case text(String)
    /// One of several.
    case oneOf([OutputGrammar])
    /// One after the other.
    case sequence([OutputGrammar])
    /// Free text up to and with the first of the endings, then what that ending calls for. After `limit` bytes only an
    /// ending may come.
    case prose(limit: Int, endings: [Ending])
    /// Free text of at most `limit` bytes that is not blank.
    case anything(limit: Int)
    /// A JSON value that is valid against a schema.
    case json(JSONSchema)

    /// How free text ends.
    public struct Ending: Sendable, Hashable {
        /// What ends the prose.
        public var text: String
        /// What must follow it.
        public var next: OutputGrammar

        /// - Parameter next: what must follow the text; nothing, unless said.
        public init(_ text: String, next: OutputGrammar = .text("")) {
            self.text = text
            self.next = next
        }
    }
}
