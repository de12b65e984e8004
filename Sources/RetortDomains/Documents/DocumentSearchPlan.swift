import RetortRetrieval

extension DomainPlan {
    /// How documents are searched, when it is not by words alone.
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

        /// The usual kind is by words; with an `encoder` it is `hybrid`.
        public var kind = Kind.bm25
        /// The encoder: a folder, relative to the domain's, or a name; nil for `bm25`.
        public var encoder: String?
        /// What is put before each query; nil leaves this to the encoder's own files.
        public var queryPrompt: String?
        /// What is put before each passage; nil leaves this to the encoder's own files.
        public var passagePrompt: String?
        /// A cross-encoder that reorders what was found: a folder or a name; nil keeps the order.
        public var rerank: String?
        /// The most characters shown of a passage; nil shows all.
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

/// Opens the models of a search. This module cannot do so itself: encoders need libtorch, and a domain does not.
public protocol RetrievalModels: Sendable {
    /// Opens an encoder.
    /// - Parameters:
    ///   - place: a folder or a name.
    ///   - prompts: what is put before queries and passages; nil leaves this to the checkpoint.
    func encoder(_ place: String, prompts: (query: String?, passage: String?)) async throws -> OpenedModel<
        any PassageEncoder
    >
    /// Opens a cross-encoder.
    /// - Parameter place: a folder or a name.
    func ranker(_ place: String) async throws -> OpenedModel<any PassageRanker>
}

/// A model, and the folder that it was read from.
public struct OpenedModel<Model: Sendable>: Sendable {
    /// The loaded model.
    public let model: Model
    /// The folder's path.
    public let folder: String
    /// The model's files, by their paths in the folder.
    public let files: [String]

    /// - Parameter files: every file that the model is read from; a portable agent includes them.
    public init(_ model: Model, folder: String, files: [String]) {
        (self.model, self.folder, self.files) = (model, folder, files)
    }
}

/// Opens no models: only searches by words are possible.
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
