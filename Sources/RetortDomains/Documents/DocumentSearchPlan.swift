import RetortRetrieval

extension DomainPlan {
    /// How documents are searched, where it is otherwise than by their words.
    public struct DocumentSearch: Codable, Sendable, Hashable {
        /// What passages are found by.
        public enum Kind: String, Codable, Sendable, CaseIterable {
            /// By words.
            case bm25
            /// By meaning.
            case dense
            /// Both lists joined by their ranks.
            case hybrid
        }

        public var kind = Kind.bm25
        /// The encoder's folder, relative to the domain's, or its name; nil for `bm25`.
        public var encoder: String?
        /// What is put before queries and passages, where it is otherwise than the encoder's own files say.
        public var queryPrompt: String?
        public var passagePrompt: String?
        /// A cross-encoder that puts what was found in order; nil leaves it as it is.
        public var rerank: String?
        /// How much of a passage is shown at most; nil is all.
        public var characters: Int?

        private typealias Encoder = (String?, String?, String?)

        /// Search by words.
        public init() {}

        init(reading reader: YAMLReader) {
            if reader.has("encoder") {
                kind = .hybrid
                let named: Encoder? = reader.either("encoder", text: { ($0, nil, nil) }) {
                    ($0.string("model"), $0.optionalString("query"), $0.optionalString("passage"))
                }
                if let named { (encoder, queryPrompt, passagePrompt) = named }
            }
            kind = reader.choice("search", default: kind)
            rerank = reader.optionalString("rerank")
            if reader.has("characters") { characters = reader.integer("characters", default: 1000, in: 40...100_000) }
            if kind == .bm25, encoder != nil {
                reader.refuse("encoder", "'encoder' is for 'search: dense' and 'search: hybrid'")
            }
            if kind != .bm25, encoder == nil {
                reader.refuse(
                    "search", "'search: \(kind.rawValue)' needs an 'encoder', such as minilm or a folder with one")
            }
        }
    }
}

/// What opens the models of a search. It stands above this module: encoders need libtorch, and a domain does not.
public protocol RetrievalModels: Sendable {
    /// Opens an encoder.
    /// - Parameters:
    ///   - place: a folder or a name.
    ///   - prompts: what is put before queries and passages, where it is otherwise than the checkpoint says.
    func encoder(_ place: String, prompts: (query: String?, passage: String?)) async throws -> OpenedModel<
        any PassageEncoder
    >
    /// Opens a cross-encoder.
    /// - Parameter place: a folder or a name.
    func ranker(_ place: String) async throws -> OpenedModel<any PassageRanker>
}

/// A model, and the folder that it was read from.
public struct OpenedModel<Model: Sendable>: Sendable {
    public let model: Model
    public let folder: String
    /// Its files, by their paths in the folder.
    public let files: [String]

    /// - Parameter files: all that the model is read from; a portable agent takes them along.
    public init(_ model: Model, folder: String, files: [String]) {
        (self.model, self.folder, self.files) = (model, folder, files)
    }
}

/// No models: searches by words alone can be opened.
public struct NoRetrievalModels: RetrievalModels {
    /// Opens nothing.
    public init() {}

    /// - Throws: `RetrievalError.noModel`, always.
    public func encoder(
        _ place: String, prompts: (query: String?, passage: String?)
    ) async throws -> OpenedModel<any PassageEncoder> {
        throw RetrievalError.noModel(place, reason: "nothing here opens encoders")
    }

    /// - Throws: `RetrievalError.noModel`, always.
    public func ranker(_ place: String) async throws -> OpenedModel<any PassageRanker> {
        throw RetrievalError.noModel(place, reason: "nothing here opens re-rankers")
    }
}
