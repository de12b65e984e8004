import Foundation
import RetortHub
import RetortRecipes

/// A model on the command line: a path, or a name that is looked up and fetched if necessary.
enum NamedModel {
    /// - Throws: `HubError`.
    static func place(_ text: String) async throws -> URL {
        try await ModelLocator().locate(text, progress: FetchLine(text).show)
    }

    /// The default name of a model: the last part of its full name.
    static func title(_ text: String) -> String? { ModelName(text)?.title }
}
