import Foundation
import RetortHub
import RetortRecipes

/// A model as the command line names it: by its place, or by a name that is looked up and fetched if need be.
enum NamedModel {
    /// - Throws: `HubError`.
    static func place(_ text: String) async throws -> URL {
        try await ModelLocator().locate(text, progress: FetchLine(text).show)
    }

    /// What a model is called by itself: the last part of its name.
    static func title(_ text: String) -> String? { ModelName(text)?.title }
}
