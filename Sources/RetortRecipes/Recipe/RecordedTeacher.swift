import Foundation
import RetortCore
import RetortDomains
import RetortStore

/// A teacher whose trajectories exist already.
public struct RecordedTeacher: Codable, Sendable, Hashable {
    public var file: String
    /// Chains of thought on the same tasks, in the same or another format; nil tells the trajectories as prose for
    /// students without tools.
    public var reasoning: String?
    /// What the file is; `auto` finds out.
    public var format: TrajectoryFormat
    /// Names of tools and of their arguments as the domain has them, by those of the file: `find: search`, `find.q: query`.
    public var map: [String: String]
    /// Where the trajectories bring the tasks: how many train, the others being the test split `in`. Nil trains on all.
    public var train: Int?

    /// Reads a recipe's `teacher`, when it is one of recorded trajectories.
    /// - Parameter folder: the recipe's.
    init?(_ reader: YAMLReader, folder: URL) {
        guard case .some = reader.textIfAny("trajectories") else { return nil }
        file = Recipe.place(reader.string("trajectories"), beside: folder)
        reasoning = reader.optionalString("reasoning").map { Recipe.place($0, beside: folder) }
        format = reader.choice("format", default: .auto)
        map = Dictionary(
            reader.named("map", text: { $0 }, mapping: { _ in "" }).map { ($0.name, $0.value) },
            uniquingKeysWith: { first, _ in first })
        train = reader.has("train") ? reader.integer("train", default: 1, in: 1...10_000_000) : nil
    }
}
