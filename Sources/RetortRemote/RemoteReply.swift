import RetortCore

/// One finished sample with all that a server told about it.
public struct RemoteReply: Sendable, Hashable {
    /// A call in the protocol's own form.
    public struct Call: Sendable, Hashable {
        public var id: String
        public var name: String
        /// Parsed; a text when the model wrote no valid JSON.
        public var arguments: JSONValue
    }

    public var completion: Completion
    /// What a reasoning model thought to itself, where the server keeps it apart.
    public var reasoning: String
    public var calls: [Call]
}
