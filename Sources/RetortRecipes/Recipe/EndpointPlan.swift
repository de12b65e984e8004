import RetortDomains
import RetortRemote

/// One endpoint of a model, as named in a recipe.
public struct EndpointPlan: Codable, Sendable, Hashable {
    /// The address, such as `http://127.0.0.1:8000/v1`.
    public var url: String
    /// This endpoint's name for the model; nil is the plan's own name.
    public var model: String?
    /// The environment variable that holds its key; nil for none.
    public var key: String?
    /// The file that holds its key; nil for none.
    public var keyFile: String?
    /// Its share of the requests, relative to the other endpoints' weights.
    public var weight = 1.0
    /// The most requests at the same time.
    public var concurrency = 64
    /// How a turn's fixed beginning is sent to the server.
    public var prefill = Endpoint.Prefill.automatic
    /// How the server is told which replies are allowed; nil is `schemas`.
    public var grammar: Endpoint.GrammarForm?

    /// An endpoint with the usual settings.
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
