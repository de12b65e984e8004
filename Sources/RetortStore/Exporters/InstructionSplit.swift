import RetortCore

/// Divides trajectories by their instructions, so that the parts do not depend on the order or the size of the file.
///
/// Each instruction has a fixed rank, derived from the seed and its text: a subset of half the size is half of the
/// whole, a smaller one lies within a larger one, and all trajectories of an instruction stay together.
public struct InstructionSplit: Sendable {
    private let seed: UInt64

    /// - Parameter seed: another seed gives other ranks.
    public init(seed: UInt64 = 0) { self.seed = seed }

    /// Which instructions α-UMi's second stage trains the roles on (arXiv 2401.07324, section 4.1).
    public enum Reuse: String, Codable, Sendable, CaseIterable {
        /// Those of the first stage.
        case reused
        /// Others: the two stages share no instruction.
        case disjoint
    }

    /// The trajectories of the first, global stage and of the second, local one.
    /// - Parameter globalShare: the global stage's share of the instructions when the two are disjoint, in 0…1.
    public func stages(
        _ trajectories: [Trajectory], _ reuse: Reuse, globalShare: Double = 0.5
    ) -> (global: [Trajectory], local: [Trajectory]) {
        guard reuse == .disjoint else { return (trajectories, trajectories) }
        let global = chosen(trajectories, share: globalShare)
        return (
            trajectories.filter { global.contains($0.task.question) },
            trajectories.filter { !global.contains($0.task.question) }
        )
    }

    /// The trajectories of a share of the instructions, in file order: a point of a data-scaling curve.
    /// - Parameter share: in 0…1, rounded to whole instructions.
    public func subset(_ trajectories: [Trajectory], share: Double) -> [Trajectory] {
        let chosen = chosen(trajectories, share: share)
        return trajectories.filter { chosen.contains($0.task.question) }
    }

    private func chosen(_ trajectories: [Trajectory], share: Double) -> Set<String> {
        let instructions = Set(trajectories.map(\.task.question))
        let count = Int((min(1, max(0, share)) * Double(instructions.count)).rounded())
        let places = instructions.map { (place: StableHash.of("\(seed) \($0)"), text: $0) }
        return Set(places.sorted { ($0.place, $0.text) < ($1.place, $1.text) }.prefix(count).map(\.text))
    }
}
