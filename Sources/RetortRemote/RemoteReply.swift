import RetortCore

/// One finished sample with all that a server told about it.
public struct RemoteReply: Sendable, Hashable {
    /// A call in the protocol's own form.
    public struct Call: Sendable, Hashable {
        /// What the answer to it must name.
        public var id: String
        /// The function that is called.
        public var name: String
        /// Parsed; a text when the model wrote no valid JSON.
        public var arguments: JSONValue
    }

    /// The sample, as any model gives it.
    public var completion: Completion
    /// What a reasoning model thought to itself, where the server keeps it apart.
    public var reasoning: String
    /// Functions that it calls.
    public var calls: [Call]
}
