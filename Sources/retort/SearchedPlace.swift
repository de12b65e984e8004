import ArgumentParser
import Foundation
import RetortDomains
import RetortLLM
import RetortRecipes
import RetortRetrieval

/// Documents that a command searches: those of a domain, anything that a domain's `documents` can be, or a retrieval
/// server.
enum SearchedPlace {
    static func isAddress(_ place: String) -> Bool {
        ["http://", "https://"].contains { place.lowercased().hasPrefix($0) }
    }

    /// A place as the plan of a domain with documents.
    static func plan(_ place: String) throws -> DomainPlan {
        if isAddress(place) {
            return try DomainPlan(
                searching: DomainPlan.Documents(service: .init([place])), named: place,
                folder: URL(fileURLWithPath: FileManager.default.currentDirectoryPath, isDirectory: true))
        }
        let url = URL(fileURLWithPath: place)
        let isDomain =
            url.pathExtension == "yaml"
            || FileManager.default.fileExists(atPath: url.appendingPathComponent("domain.yaml").path)
        guard isDomain else { return try DomainPlan(documents: url.standardizedFileURL) }
        let plan = try DomainPlan(url)
        guard plan.documents != nil else { throw ValidationError("\(place) has no 'documents' to search") }
        return plan
    }

    /// Opens documents; indexes and vectors are kept in the user's cache.
    static func open(
        _ documents: DomainPlan.Documents, of plan: DomainPlan, weights: WeightPrecision?,
        progress: @escaping @Sendable (DenseIndex.Progress) -> Void = embeddingProgress()
    ) async throws -> OpenedDocuments {
        try await OpenedDocuments(
            documents, of: plan, keepingIn: UserCache.domain(plan.url(documents.path).path),
            models: LocalRetrievalModels(weights: weights), progress: progress)
    }
}
