import Foundation
import RetortCore
import RetortDomains
import RetortStore

/// A teacher whose trajectories exist already.
public struct RecordedTeacher: Codable, Sendable, Hashable {
    /// The file of trajectories, or a folder of logs.
    public var file: String
    /// A file of chains of thought on the same tasks, in the same or another format; nil retells the trajectories as
    /// prose for students without tools.
    public var reasoning: String?
    /// The file's format; `auto` recognises it.
    public var format: TrajectoryFormat
    /// The domain's names of tools and arguments, by the file's names: `find: search`, `find.q: query`.
    public var map: [String: String]
    /// Where the trajectories bring the tasks: how many train, while the others become the test split `in`. Nil trains
    /// on all.
    public var train: Int?

    /// Reads a recipe's `teacher`, when it is one of recorded trajectories.
    /// - Parameter folder: the recipe's folder.
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
