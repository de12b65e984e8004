import Foundation

/// A server that speaks the OpenAI protocol, and how much of the work it gets.
public struct Endpoint: Sendable, Hashable {
    /// How a server is made to continue an assistant message that has begun.
    public enum Prefill: String, Sendable, Codable, CaseIterable {
        /// `continueFinal`, until the server refuses its fields; from then on `instructed`.
        case automatic
        /// The message is sent last, with `continue_final_message` (vLLM, SGLang; llama.cpp and Retort continue a
        /// trailing assistant message by themselves and ignore the field).
        case continueFinal
        /// The message is sent last, with nothing else: llama.cpp, Retort, Anthropic's endpoint.
        case trailing
        /// The message is sent last, marked `prefix: true`: Mistral, DeepSeek.
        case marked
        /// For servers that cannot: the last user message asks to go on from the text, which is not to be repeated. A
        /// repetition, and a label such as `Thought:` that the text already has, is taken away from the reply. Text and
        /// reply together thus read as the other forms' do, and so does what a student learns from them.
        case instructed
    }

    /// How a server is told what a reply may be (`OutputGrammar`). JSON schemas go as `response_format` everywhere; lists of
    /// texts, which OpenAI's protocol does not know, in the server's own field.
    public enum GrammarForm: String, Sendable, Codable, CaseIterable {
        /// JSON schemas alone.
        case schemas
        /// `structured_outputs` of vLLM, and of Retort.
        case structuredOutputs
        /// `guided_choice` of vLLM before 0.12.
        case guided
        /// `grammar`, in GBNF: llama.cpp. JSON schemas go as its `json_schema`, which both operations know.
        case gbnf
        /// `regex`: SGLang.
        case regex
    }

    /// The base address, such as `http://127.0.0.1:8000/v1`.
    public let url: URL
    /// The model to ask for.
    public var model: String
    /// What the endpoint asks for; nil when it asks for nothing.
    public var key: APIKey?
    /// Its share of the work beside other endpoints.
    public var weight: Double
    /// The most requests it has at once.
    public var concurrency: Int
    /// How it continues a message.
    public var prefill: Prefill
    /// How it is told what replies may be.
    public var grammar: GrammarForm

    /// - Parameter address: with or without `/v1`; `https` unless the server is this machine or a private network's.
    /// - Throws: `RemoteError.configuration` for an address that is none or holds a password, and for a key that would
    ///   travel without encryption to a public host.
    public init(
        _ address: String, model: String, key: APIKey? = nil, weight: Double = 1, concurrency: Int = 64,
        prefill: Prefill = .automatic, grammar: GrammarForm = .schemas
    ) throws {
        guard var parts = URLComponents(string: address), ["http", "https"].contains(parts.scheme?.lowercased()),
            parts.host?.isEmpty == false
        else {
            throw RemoteError.configuration(
                "the endpoint '\(address)' is no address; write one like http://127.0.0.1:8000/v1")
        }
        guard parts.user == nil, parts.password == nil else {
            throw RemoteError.configuration(
                "the endpoint \(parts.host ?? "") has a password in its address, which would be logged; use 'key'")
        }
        guard weight > 0, weight.isFinite, concurrency > 0 else {
            throw RemoteError.configuration(
                "the endpoint '\(address)' needs a weight above 0 and a concurrency of at least 1")
        }
        while parts.path.hasSuffix("/") { parts.path.removeLast() }
        for operation in ["/chat/completions", "/completions"] where parts.path.hasSuffix(operation) {
            parts.path.removeLast(operation.count)
        }
        if parts.path.isEmpty { parts.path = "/v1" }
        guard let url = parts.url else {
            throw RemoteError.configuration("the endpoint '\(address)' is no address")
        }
        self.url = url
        self.model = model
        self.key = key
        self.weight = weight
        self.concurrency = concurrency
        self.prefill = prefill
        self.grammar = grammar
        try checkKey()
    }

    /// Makes sure that a key is not sent in the clear over public networks.
    /// - Throws: `RemoteError.configuration`.
    func checkKey() throws {
        guard key != nil, url.scheme?.lowercased() == "http", !PrivateHost.contains(url.host ?? "") else { return }
        throw RemoteError.configuration(
            "the endpoint \(name) is asked without encryption, and its key could be read on the way; write https://, or leave "
                + "the key out")
    }

    /// Host and port: what messages and logs call the endpoint.
    public var name: String { (url.host ?? "") + (url.port.map { ":\($0)" } ?? "") }

    /// The address of an operation such as `chat/completions`, with the base's query.
    func address(of operation: String) -> String {
        guard var parts = URLComponents(url: url, resolvingAgainstBaseURL: false) else { return url.absoluteString }
        parts.path += "/\(operation)"
        return parts.string ?? url.absoluteString
    }
}
