import RetortTraining

/// Samples that a training left out, because they are longer than its plan's `maxTokens`.
package struct DroppedSamples: Codable, Sendable, Hashable {
    /// How many were left out, and how many there were in all.
    package let count, all: Int
    /// The longest of all, and the limit that would leave out at most a twentieth; in tokens.
    package let longest, ampleLimit: Int

    /// Nil where none was left out.
    init?(_ set: TrainingSet) {
        guard let longest = set.droppedLengths.max(), let ample = set.ampleLimit else { return nil }
        (count, all) = (set.dropped, set.examples.count + set.dropped)
        (self.longest, ampleLimit) = (longest, ample)
    }

    /// The share above which a warning is given: the student then learns from a different set than was collected.
    private static let harmless = 0.05

    /// What to do about it, when it is more than a few.
    /// - Parameter positions: the number of tokens that the base was made for.
    func warning(limit: Int, positions: Int? = nil) -> String? {
        guard Double(count) > Self.harmless * Double(all) else { return nil }
        let share = Int((100 * Double(count) / Double(all)).rounded())
        var words =
            "WARNING: \(count) of \(all) samples (\(share) %) are not trained on: they are longer than maxTokens, \(limit). "
            + "maxTokens: \(ampleLimit) would take at least 95 % of them, \(longest) all"
        if let positions, ampleLimit > positions { words += ", but the base reads \(positions) tokens at most" }
        return words
            + ". Raise it (and rowTokens with it), or make samples shorter: overlong: splitAtTurn or shortenObservations, fewer "
            + "tools, briefer descriptions and instructions, a smaller observationLimit."
    }
}
