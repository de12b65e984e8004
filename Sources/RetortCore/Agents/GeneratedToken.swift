/// A token that a model wrote, for requests that ask for more than text.
public struct GeneratedToken: Codable, Sendable, Hashable {
    /// A token that could have stood in its place.
    public struct Alternative: Codable, Sendable, Hashable {
        /// Its number in the vocabulary; nil when a server does not tell.
        public var id: Int32?
        /// What it stands for. May be part of a character.
        public var bytes: [UInt8]
        /// The natural logarithm of its probability.
        public var logprob: Double

        /// - Parameter logprob: the natural logarithm of its probability.
        public init(id: Int32?, bytes: [UInt8], logprob: Double) {
            self.id = id
            self.bytes = bytes
            self.logprob = logprob
        }
    }

    /// Its number in the vocabulary; nil when a server does not tell.
    public var id: Int32?
    /// What it stands for. May be part of a character.
    public var bytes: [UInt8]
    /// The natural logarithm of the probability that the model gave it, before temperature and nucleus; nil unless the
    /// request asked for it.
    public var logprob: Double?
    /// The most likely tokens at its place, most likely first.
    public var alternatives: [Alternative]
    /// Whether it ended the turn: such a token is no part of the text.
    public var endsTurn: Bool

    /// - Parameters:
    ///   - logprob: the natural logarithm of its probability; nil when nobody asked.
    ///   - alternatives: the likeliest at its place, likeliest first.
    public init(
        id: Int32?, bytes: [UInt8], logprob: Double? = nil, alternatives: [Alternative] = [], endsTurn: Bool = false
    ) {
        self.id = id
        self.bytes = bytes
        self.logprob = logprob
        self.alternatives = alternatives
        self.endsTurn = endsTurn
    }
}

/// What a request wants to know of the tokens.
public enum TokenReport: Sendable, Hashable {
    /// Nothing: text only.
    case none
    /// Which they are, the prompt's too.
    case ids
    /// Also how likely each one was, and so many of the likeliest at its place.
    case logprobs(alternatives: Int)
}

/// Something to continue as it stands, without a chat template.
public enum PlainPrompt: Sendable, Hashable {
    /// Text, in which the names of special tokens count as these tokens.
    case text(String)
    /// Token numbers.
    case tokens([Int32])
}
