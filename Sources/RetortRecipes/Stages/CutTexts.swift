import RetortAgents
import RetortCore
import RetortStore

/// Runs of an evaluation in which a text ended at the token limit: they measure the limit, not the student.
struct CutTexts: Hashable {
    let count, all: Int

    init(_ trajectories: some Sequence<Trajectory>) {
        var (count, all) = (0, 0)
        for trajectory in trajectories {
            all += 1
            if trajectory.steps.contains(where: \.action.isCut) { count += 1 }
        }
        (self.count, self.all) = (count, all)
    }

    /// The share above which a warning is given.
    private static let harmless = 0.1

    /// What to do about it, when it is more than a few.
    func warning(limit: Int) -> String? {
        guard Double(count) > Self.harmless * Double(all) else { return nil }
        return
            "WARNING: in \(count) of \(all) runs a text was cut at evaluation.maxTokens, \(limit), and what was cut counts as no "
            + "answer. Raise it, unless the student does not stop at all."
    }
}

extension RunContext {
    /// Reports where an evaluation's limit decided many of its runs.
    func noteCuts(in set: String) async throws {
        let cuts = CutTexts(try await store.entries(in: set).lazy.map(\.trajectory))
        if let warning = cuts.warning(limit: recipe.evaluation.maximumTokens) { ProgressLine(set).note(warning) }
    }
}
