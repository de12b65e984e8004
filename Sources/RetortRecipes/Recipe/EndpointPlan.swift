import RetortDomains
import RetortRemote

/// One endpoint of a model, as a recipe names it.
public struct EndpointPlan: Codable, Sendable, Hashable {
    public var url: String
    /// What this endpoint calls the model, when it is another name.
    public var model: String?
    /// The name of the environment variable that holds its key.
    public var key: String?
    /// The file that holds its key.
    public var keyFile: String?
    public var weight = 1.0
    /// Requests at once.
    public var concurrency = 64
    public var prefill = Endpoint.Prefill.automatic
    /// How it is told what replies may be; nil is `schemas`.
    public var grammar: Endpoint.GrammarForm?

    public init(url: String) { self.url = url }
}

extension EndpointPlan {
    init(reading reader: YAMLReader) {
        self.init(url: reader.string("url"))
        model = reader.optionalString("model")
        key = reader.optionalString("key")
        keyFile = reader.optionalString("keyFile")
        weight = reader.number("weight", default: weight, in: 1e-6...1e6)
        concurrency = reader.integer("concurrency", default: concurrency, in: 1...4096)
        prefill = reader.choice("prefill", default: prefill)
        grammar = reader.has("grammar") ? reader.choice("grammar", default: .schemas) : nil
    }
}
