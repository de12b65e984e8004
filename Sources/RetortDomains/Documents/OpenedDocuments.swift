import Foundation
import RetortCore
import RetortRetrieval

/// A domain's documents, indexed as its plan says.
public struct OpenedDocuments: Sendable {
    /// Finds passages.
    public let search: any PassageSearch
    /// The same as the tool that agents are given.
    let tool: WebSearchTool
    /// The corpus, or an index that was made before.
    public let corpus: URL
    /// What an agent takes along: the index, its vectors with their companion, and the models.
    public let index: URL
    public let vectors: [URL]
    public let encoder: (folder: String, files: [String])?
    public let ranker: (folder: String, files: [String])?
    /// What results depend on besides the corpus.
    let identities: [(name: String, value: String)]

    /// - Parameters:
    ///   - folder: where indices are kept.
    ///   - models: opens encoder and re-ranker.
    ///   - progress: is told how far the embedding of passages is.
    public init(
        _ documents: DomainPlan.Documents, of plan: DomainPlan, keepingIn folder: URL, models: any RetrievalModels,
        progress: @escaping @Sendable (DenseIndex.Progress) -> Void = { _ in }
    ) async throws {
        let place = plan.url(documents.path)
        let isIndex = place.pathExtension == "sqlite"
        if isIndex {
            (corpus, index) = (place, place)
        } else {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            corpus = try await DocumentCorpus(place).passages(keptIn: folder, name: plan.name)
            index = folder.appendingPathComponent("\(corpus.deletingPathExtension().lastPathComponent).sqlite")
            try PassageIndex.buildIfNeeded(from: corpus, to: index)
        }
        let words = try PassageIndex(index)
        let how = documents.search ?? DomainPlan.DocumentSearch()
        var search: any PassageSearch = words
        var identities: [(name: String, value: String)] = []
        if how != DomainPlan.DocumentSearch() { identities.append(("documents.search", how.kind.rawValue)) }
        if let name = how.encoder {
            let opened = try await models.encoder(
                plan.model(name), prompts: (how.queryPrompt, how.passagePrompt))
            let file = Self.vectors(of: index)
            if !isIndex || !FileManager.default.fileExists(atPath: file.path) {
                let identity = String(StableHash.of(opened.model.identity), radix: 16)
                let home = isIndex ? folder : index.deletingLastPathComponent()
                try await DenseIndex.buildIfNeeded(
                    of: words, by: opened.model, to: file,
                    store: home.appendingPathComponent("embeddings-\(identity).vectors"), progress: progress)
            }
            let dense = try DenseIndex(words, vectors: file, encoder: opened.model)
            search = how.kind == .dense ? dense : HybridSearch([words, dense])
            identities.append(("documents.encoder", opened.model.identity))
            (vectors, encoder) = ([file, DenseIndex.companion(of: file)], (opened.folder, opened.files))
        } else {
            (vectors, encoder) = ([], nil)
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

    /// Where the vectors of an index lie.
    public static func vectors(of index: URL) -> URL { index.deletingPathExtension().appendingPathExtension("faiss") }
}

extension DomainPlan {
    /// A model's place where it is a folder of the domain's, else its name.
    func model(_ name: String) -> String {
        let place = url(name)
        return FileManager.default.fileExists(atPath: place.path) ? place.path : name
    }
}
