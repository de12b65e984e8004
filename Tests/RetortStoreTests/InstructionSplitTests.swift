import RetortCore
import RetortStore
import Testing

@Suite("Instruction split")
struct InstructionSplitTests {
    /// Two trajectories for each of so many instructions.
    private func trajectories(_ count: Int) -> [Trajectory] {
        (0..<2 * count).map { index in
            Trajectory(
                task: AgentTask(id: "\(index / 2)", question: "Q\(index / 2)", answers: [], family: .factual),
                provenance: Provenance(policy: "umi", model: "m", attempt: index % 2))
        }
    }

    private func instructions(_ trajectories: [Trajectory]) -> Set<String> { Set(trajectories.map(\.task.question)) }

    @Test("with reuse both stages have all; without, they share no instruction and lose none")
    func stages() {
        let all = trajectories(101)
        let reused = InstructionSplit().stages(all, .reused)
        #expect(reused.global == all)
        #expect(reused.local == all)
        let (global, local) = InstructionSplit().stages(all, .disjoint, globalShare: 0.6)
        #expect(instructions(global).isDisjoint(with: instructions(local)))
        #expect(instructions(global).count == 61)
        #expect(global.count + local.count == 202)
    }

    @Test("a smaller subset lies within a larger one, whatever the file's order")
    func subsets() {
        let all = trajectories(40)
        let split = InstructionSplit(seed: 3)
        var last: Set<String> = []
        for share in [0, 0.125, 0.25, 0.5, 1] {
            let subset = split.subset(all, share: share)
            #expect(subset.count == Int(80 * share))
            #expect(last.isSubset(of: instructions(subset)))
            #expect(instructions(split.subset(all.reversed(), share: share)) == instructions(subset))
            last = instructions(subset)
        }
        #expect(
            instructions(InstructionSplit(seed: 4).subset(all, share: 0.5))
                != instructions(split.subset(all, share: 0.5)))
    }
}
