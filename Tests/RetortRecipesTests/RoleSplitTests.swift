import Foundation
import RetortAgents
import RetortCore
import RetortRecipes
import Testing

@Suite("Splits for α-UMi's stages")
struct RoleSplitTests {
    /// Two steps each: a call and an answer. Every instruction has two trajectories.
    private func trajectories(_ count: Int) -> [Trajectory] {
        (0..<2 * count).map { index in
            var run = Trajectory(
                task: AgentTask(id: "\(index / 2)", question: "Q\(index / 2)", answers: [], family: .factual),
                provenance: Provenance(policy: "umi", model: "m", attempt: index % 2))
            run.append(
                Step(
                    thought: "I look.", action: .toolCall(name: "find", arguments: [:]),
                    observation: Observation(text: String(repeating: "x", count: index * 10), outcome: .success)))
            run.append(
                Step(thought: "Done.", action: .answer("7"), observation: Observation(text: "", outcome: .final("7"))))
            run.end(.answered("7"))
            return run
        }
    }

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    private func ids(_ folder: URL, _ part: String) throws -> Set<String> {
        let file = folder.appendingPathComponent("\(part)/trajectories.jsonl")
        return Set(try JSONLinesFile(file).read(Trajectory.self).records.map(\.id))
    }

    @Test("each part has its trajectories and its roles' samples; without reuse the stages share no instruction")
    func parts() throws {
        let all = trajectories(10)
        try withFolder { folder in
            let account = try RoleSplit(globalShare: 0.4, shares: [0.2, 0.125]).write(all, to: folder)
            #expect(account.parts.map(\.name) == ["all", "global", "local", "share-20", "share-12.5"])
            #expect(account.parts.map(\.instructions) == [10, 4, 6, 2, 1])
            #expect(
                account.parts[0].samples.mapValues(\.written) == [
                    "backbone": 40, "planner": 40, "caller": 20, "summarizer": 20,
                ])
            #expect(account.parts[1].samples.mapValues(\.written) == ["backbone": 16])
            #expect(account.parts[2].samples.mapValues(\.written) == ["planner": 24, "caller": 12, "summarizer": 12])
            let (global, local) = (try ids(folder, "global"), try ids(folder, "local"))
            #expect(global.isDisjoint(with: local) && global.union(local) == Set(all.map(\.id)))
            #expect(try ids(folder, "share-12.5").isSubset(of: ids(folder, "share-20")))
            let written = try JSONDecoder().decode(
                RoleSplit.Account.self, from: Data(contentsOf: folder.appendingPathComponent("split.json")))
            #expect(written == account)
            let lines = try JSONLinesFile(folder.appendingPathComponent("local/caller.jsonl")).read(JSONValue.self)
                .records
            #expect(lines.count == 12)
            #expect(
                lines[0]["messages"]?.array?.last
                    == ["role": "assistant", "content": "Action: find\nAction Input: {}"])
        }
    }

    @Test("a sample that is too long is left out, counted and named; nothing is cut")
    func overlong() throws {
        let all = trajectories(10)
        try withFolder { folder in
            let limit = RoleSplit.Limit(tokens: 200) { $0.reduce(0) { $0 + $1.text.count } }
            let account = try RoleSplit(instructions: .brief, limit: limit).write(all, to: folder)
            let planner = try #require(account.parts[0].samples["planner"])
            #expect(planner.overlong > 0 && planner.written + planner.overlong == 40)
            let named = try JSONLinesFile(folder.appendingPathComponent("overlong.jsonl")).read(RoleSplit.Overlong.self)
                .records
            #expect(named.filter { $0.part == "all" && $0.role == .planner }.count == planner.overlong)
            // Only second turns are long: they show the observation.
            #expect(named.allSatisfy { $0.tokens > 200 && $0.sample == ($0.role == .summarizer ? 0 : 1) })
            #expect(account.description.contains("overlong.jsonl"))
        }
    }
}
