import RetortAgents
import RetortCore
import RetortDomains

/// Which of a teacher's trajectories are learned from.
public struct FilterPlan: Codable, Sendable, Hashable {
    /// The most turns; nil for no limit.
    public var maximumSteps: Int?
    /// The longest of an agent's turns, in characters; nil for no limit.
    public var maximumCharacters: Int?
    /// Whether an agent's trajectory must have called a tool or, for mathematics, computed something.
    public var requiresToolUse = false
    /// Whether an answer must have been looked up or computed; nil means no.
    public var requiresEvidence: Bool?
    /// Whether a trajectory that states the reference answer before anything showed it is dropped.
    public var dropsLeaks = true
    /// Whether answers that had to be asked for at the step limit are kept.
    public var keepsForced = false
    /// The most trajectories of a task: those that differ most. Nil keeps all that differ.
    public var keepEach: Int?
    /// Steps of kept trajectories that are shown but not learned; nil learns all.
    public var masked: [BadStep]?
    /// Labels given by hand, of which a trajectory must have one; nil ignores labels. Trajectories labelled good or
    /// mended count as right, whatever their grade, and mended ones are learned in their corrected form.
    public var labels: [Labelled]?

    /// A person's label of a trajectory, or its absence.
    public enum Labelled: String, Codable, Sendable, CaseIterable {
        /// These labels.
        case good, mended
        /// No label.
        case none
    }

    /// Keeps right answers that were not leaked.
    public init() {}

    /// Reads the recipe's `filter`.
    init(_ reader: YAMLReader) {
        maximumSteps = reader.has("maxSteps") ? reader.integer("maxSteps", default: 5, in: 1...1000) : nil
        maximumCharacters =
            reader.has("maxCharacters") ? reader.integer("maxCharacters", default: 4000, in: 1...10_000_000) : nil
        requiresToolUse = reader.flag("toolUse", default: requiresToolUse)
        requiresEvidence = reader.flag("evidence", default: false) ? true : nil
        dropsLeaks = reader.flag("leaks", default: dropsLeaks)
        keepsForced = reader.flag("forced", default: keepsForced)
        keepEach = reader.has("keepEach") ? reader.integer("keepEach", default: 1, in: 1...1000) : nil
        readLabels(reader)
        guard let words = reader.strings("mask") else { return }
        masked = words.compactMap(BadStep.init(rawValue:))
        if masked?.count != words.count || words.isEmpty {
            let known = BadStep.allCases.map(\.rawValue).joined(separator: ", ")
            reader.refuse("mask", "'mask' must list some of \(known)")
        }
    }

    private mutating func readLabels(_ reader: YAMLReader) {
        guard let words = reader.strings("labels") else { return }
        labels = words.compactMap(Labelled.init(rawValue:))
        if labels?.count != words.count || words.isEmpty {
            reader.refuse(
                "labels",
                "'labels' must list some of \(Labelled.allCases.map(\.rawValue).joined(separator: ", ")) (without a label); "
                    + "what is labelled bad is never learned from then")
        }
    }

    /// What is learned from a kept trajectory.
    func lesson(_ trajectory: Trajectory) -> Lesson {
        Lesson(trajectory, learning: trajectory.steps(without: Set(masked ?? [])))
    }
}
