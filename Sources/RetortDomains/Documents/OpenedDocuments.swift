import Foundation
import RetortCore
import RetortRetrieval

/// A domain's documents, indexed as its plan says.
public struct OpenedDocuments: Sendable {
    /// Finds passages.
    public let search: any PassageSearch
    /// The same search, as the tool that agents are given.
    let tool: WebSearchTool
    /// The corpus, or an existing index in its place; nil where a server searches.
    public let corpus: URL?
    /// The index of words, an SQLite file; nil where a server searches. A portable agent includes it, the vectors and
    /// the models.
    public let index: URL?
    /// The vectors' file and its companion; empty for a search by words.
    public let vectors: [URL]
    /// The encoder's folder and its files; nil for a search by words.
    public let encoder: (folder: String, files: [String])?
    /// The cross-encoder's folder and its files; nil where nothing reorders the results.
    public let ranker: (folder: String, files: [String])?
    /// Whether all titles of the corpus stand in quotation marks.
    public let quotesTitles: Bool
    /// The files in the folder of documents that were not read; empty for other places.
    let skipped: [String]
    /// How many passages are searched; nil where a server holds them.
    let count: Int?
    /// What results depend on besides the corpus.
    let identities: [(name: String, value: String)]

    /// - Parameters:
    ///   - folder: where indices are kept; it is made when missing.
    ///   - models: opens the encoder and the cross-encoder.
    ///   - progress: is called as the index is built and passages are embedded.
    public init(
        _ documents: DomainPlan.Documents, of plan: DomainPlan, keepingIn folder: URL, models: any RetrievalModels,
        progress: @escaping @Sendable (DenseIndex.Progress) -> Void = { _ in }
    ) async throws {
        let how = documents.search ?? DomainPlan.DocumentSearch()
        var search: any PassageSearch
        var identities: [(name: String, value: String)] = []
        if let service = documents.service {
            (corpus, index, vectors, encoder) = (nil, nil, [], nil)
            quotesTitles = false
            (skipped, count) = ([], nil)
            search = try service.search()
            // What a server holds cannot be determined from here.
            identities.append(("documents.service", service.addresses.joined(separator: " ")))
        } else {
            let place = plan.url(documents.path)
            let isIndex = place.pathExtension == "sqlite"
            let (corpus, index, skipped) =
                isIndex
                ? (place, place, []) : try await Self.indexed(place, named: plan.name, keepingIn: folder, progress)
            (self.corpus, self.index, self.skipped) = (corpus, index, skipped)
            let words = try PassageIndex(index)
            count = words.count
            quotesTitles = words.quotesTitles
            if how != DomainPlan.DocumentSearch() { identities.append(("documents.search", how.kind.rawValue)) }
            if let name = how.encoder {
                let opened = try await models.encoder(plan.model(name), prompts: (how.queryPrompt, how.passagePrompt))
                let dense = try await Self.dense(
                    words, index, by: opened.model, keepingIn: isIndex ? folder : nil, progress)
                search = how.kind == .dense ? dense : HybridSearch([words, dense])
                identities.append(("documents.encoder", opened.model.identity))
                let file = Self.vectors(of: index)
                (vectors, encoder) = ([file, DenseIndex.companion(of: file)], (opened.folder, opened.files))
            } else {
                search = words
                (vectors, encoder) = ([], nil)
            }
        }
        if let name = how.rerank {
            let opened = try await models.ranker(plan.model(name))
            search = RankedSearch(search, by: opened.model)
            identities.append(("documents.rerank", opened.model.identity))
            ranker = (opened.folder, opened.files)
        } else {
            ranker = nil
        }
        if let characters = how.characters { identities.append(("documents.characters", "\(characters)")) }
        self.search = search
        self.identities = identities
        tool = WebSearchTool(
            search, limit: documents.results, name: documents.tool, summary: documents.description,
            characters: how.characters)
    }

    /// The corpus made from documents, and its index.
    private static func indexed(
        _ place: URL, named name: String, keepingIn folder: URL,
        _ progress: @escaping @Sendable (DenseIndex.Progress) -> Void
    ) async throws -> (corpus: URL, index: URL, skipped: [String]) {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let documents = try DocumentCorpus(place)
        let corpus = try await documents.passages(keptIn: folder, name: name)
        let index = folder.appendingPathComponent("\(corpus.deletingPathExtension().lastPathComponent).sqlite")
        progress(.begun(index: index))
        try PassageIndex.buildIfNeeded(from: [corpus], to: index) { progress(.words($0)) }
        return (corpus, index, documents.skipped)
    }

    /// Search by meaning; missing vectors are computed.
    /// - Parameter folder: where the cache of embeddings is kept; nil is the index's own folder. Where it is given,
    ///   existing vectors are used as they are.
    private static func dense(
        _ words: PassageIndex, _ index: URL, by encoder: any PassageEncoder, keepingIn folder: URL?,
        _ progress: @escaping @Sendable (DenseIndex.Progress) -> Void
    ) async throws -> DenseIndex {
        let file = vectors(of: index)
        if folder == nil || !FileManager.default.fileExists(atPath: file.path) {
            let home = folder ?? index.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
            try await DenseIndex.buildIfNeeded(
                of: words, by: encoder, to: file, store: store(of: encoder, in: home), progress: progress)
        }
        return try DenseIndex(words, vectors: file, encoder: encoder)
    }

    /// The file that caches an encoder's vectors by their texts.
    public static func store(of encoder: any PassageEncoder, in folder: URL) -> URL {
        folder.appendingPathComponent("embeddings-\(String(StableHash.of(encoder.identity), radix: 16)).vectors")
    }

    /// The file of an index's vectors, beside it: `faiss` instead of its extension.
    public static func vectors(of index: URL) -> URL { index.deletingPathExtension().appendingPathExtension("faiss") }
}

extension DomainPlan {
    /// A model's path if it is a folder of the domain's, otherwise its name.
    func model(_ name: String) -> String {
        let place = url(name)
        return FileManager.default.fileExists(atPath: place.path) ? place.path : name
    }
}
