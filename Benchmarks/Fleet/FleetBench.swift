import Foundation
import RetortCore
import RetortStore

/// What sharing work out costs: claims and records a second of a PostgreSQL database, beside what SQLite saves.
///
///     fleet-bench postgresql://… [TASKS]
@main
struct FleetBench {
    static func main() async throws {
        let words = CommandLine.arguments
        guard words.count > 1 else {
            FileHandle.standardError.write(Data("fleet-bench postgresql://… [TASKS]\n".utf8))
            exit(2)
        }
        let tasks = words.count > 2 ? Int(words[2]) ?? 4000 : 4000
        let bytes = try ExactJSON.encode(trajectory(0)).count
        print("\(tasks) trajectories of \(bytes) bytes\n\n| what | a second |\n| --- | ---: |")
        let rate = try await sqlite(tasks)
        print("| SQLite: save, each a synced transaction | \(Int(rate)) |")
        for lanes in [1, 4, 16] {
            let rates = try await postgres(words[1], tasks, lanes: lanes)
            print("| PostgreSQL: claim and record, \(lanes) at once | \(Int(rates.work)) |")
            if lanes == 16 {
                print(
                    "| PostgreSQL: plan tasks | \(Int(rates.plan)) |\n| PostgreSQL to SQLite: take results | \(Int(rates.take)) |"
                )
            }
        }
    }

    /// A trajectory of three steps, about as long as those of code agents.
    private static func trajectory(_ number: Int) -> Trajectory {
        var trajectory = Trajectory(
            task: AgentTask(
                id: "task-\(number)", question: String(repeating: "Who founded it? ", count: 8), answers: ["x"],
                family: .factual),
            provenance: Provenance(policy: "agent", model: "m"))
        for step in 0..<3 {
            trajectory.append(
                Step(
                    thought: String(repeating: "I look it up. ", count: 12),
                    action: .code(String(repeating: "print(web_search(\"\(step)\"))\n", count: 6)),
                    observation: Observation(
                        text: String(repeating: "It was founded then. ", count: 24), outcome: .success),
                    usage: Usage(promptTokens: 700, completionTokens: 90, seconds: 0.5)))
        }
        trajectory.end(.answered("x"))
        return trajectory
    }

    private static func entry(_ number: Int) -> StoredTrajectory {
        StoredTrajectory(trajectory: trajectory(number), verdict: Verdict(isCorrect: true, reason: "exact match"))
    }

    private static func rate(_ count: Int, _ work: () async throws -> Void) async rethrows -> Double {
        let start = ContinuousClock.now
        try await work()
        return Double(count) / (start.duration(to: .now) / .seconds(1))
    }

    private static func scratch() -> URL {
        FileManager.default.temporaryDirectory.appendingPathComponent("fleet-bench-\(UUID().uuidString).sqlite")
    }

    private static func remove(_ file: URL) {
        for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file.path + end) }
    }

    private static func sqlite(_ tasks: Int) async throws -> Double {
        let file = scratch()
        defer { remove(file) }
        let store = try TrajectoryStore(file)
        return try await rate(tasks) {
            for number in 0..<tasks { try await store.save([entry(number)], in: "s") }
        }
    }

    private static func postgres(
        _ address: String, _ tasks: Int, lanes: Int
    ) async throws -> (plan: Double, work: Double, take: Double) {
        let store = try await FleetStore(address, sessions: lanes)
        let name = "bench-\(UUID().uuidString)"
        let part = FleetPart(run: name, stage: "s")
        let run = FleetRun(name: name, recipe: "{}", roots: "[]", version: Retort.version, lease: 600)
        try await store.plan(run, folder: name, planner: name)
        try await store.open(FleetStage(name: "s", inputs: [:], models: "[]"), of: name, phase: 0)
        let jobs = try (0..<tasks).map { number in
            (id: "task-\(number)", job: String(decoding: try ExactJSON.encode(trajectory(number).task), as: UTF8.self))
        }
        let plan = try await rate(tasks) { try await store.plan(jobs, in: part) }
        let work = try await rate(tasks) {
            try await withThrowingDiscardingTaskGroup { group in
                for lane in 0..<lanes {
                    group.addTask {
                        while let claim = try await store.claim(1, in: part, by: "w\(lane)", lease: 600).first {
                            let result = FleetResult(entries: [entry(claim.attempt)])
                            _ = try await store.record(result, of: claim, in: part, by: "w\(lane)")
                        }
                    }
                }
            }
        }
        let file = scratch()
        defer { remove(file) }
        let own = try TrajectoryStore(file)
        let take = try await rate(tasks) {
            while case let found = try await store.results(of: "s", run: name), !found.isEmpty {
                try await own.save(found.flatMap(\.result.entries), in: "s")
                try await store.markCopied(found.map(\.id), of: "s", run: name)
            }
        }
        try await store.endPlanning(name, planner: name, isDone: true)
        try await store.remove(name)
        return (plan, work, take)
    }
}
