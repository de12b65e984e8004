import Foundation
import RetortCore

/// What a run did: its recipe, and each of its stages with what it was made from.
package struct Manifest: Codable, Sendable, Hashable {
    /// The recipe as it was read.
    package var recipe: Recipe
    /// The version of Retort.
    package var version: String
    /// The stages by name.
    package var stages: [String: StageRecord]

    /// Reads `manifest.json` of a run folder.
    /// - Throws: `RunError.noRun` where there is none, `RunError.damaged` for one that cannot be read.
    package init(folder: URL) throws {
        let file = folder.appendingPathComponent("manifest.json")
        guard let data = try? Data(contentsOf: file) else { throw RunError.noRun(folder.path) }
        do {
            self = try JSONCoding.decoder.decode(Self.self, from: data)
        } catch {
            throw RunError.damaged(file.path, "\(error)")
        }
    }

    init(recipe: Recipe, stages: [String: StageRecord]) {
        self.recipe = recipe
        version = Retort.version
        self.stages = stages
    }
}
