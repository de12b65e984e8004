import Foundation
import RetortCore
import Synchronization
import Testing

@testable import RetortRecipes

/// What a run's folder would hold: what each stage made, and how often.
private final class Shelf: Sendable {
    private let state = Mutex<(made: [String: String], runs: [String])>(([:], []))

    var runs: [String] { state.withLock { $0.runs } }
    func forgetRuns() { state.withLock { $0.runs = [] } }
    subscript(name: String) -> String? {
        get { state.withLock { $0.made[name] } }
        set { state.withLock { $0.made[name] = newValue } }
    }
    func note(_ run: String) { state.withLock { $0.runs.append(run) } }
}

/// A stage that writes down what it was made from.
private struct Written: Stage {
    let shelf: Shelf
    let name: String
    var sources: [String] = []
    let settings: [String: String]
    /// Of ten things.
    var failures = 0

    func inputs() async throws -> [StageInput] { settings.map { StageInput(name: $0, value: $1) } }
    func output() async throws -> String? { shelf[name] }
    func clear() async throws { shelf[name] = nil }

    func run() async throws -> StageOutcome {
        shelf.note(name)
        let own = settings.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }.joined(separator: ",")
        let others = sources.map { shelf[$0] ?? "nothing" }
        let text = "\(name)(\((others + [own]).joined(separator: ";")))"
        // What another version left would show; what an interrupted run of the same left is gone on with.
        let left = shelf[name].flatMap { $0.hasPrefix(text) ? nil : $0 }
        shelf[name] = (left.map { $0 + "+" } ?? "") + text + (failures > 0 ? "!\(failures)" : "")
        return StageOutcome(total: 10, failures: failures > 0 ? ["broke": failures] : [:])
    }
}

private struct Killed: Error {}

@Suite("Stages as values")
struct SchedulerTests {
    private let shelf = Shelf()

    /// Two kinds of teaching, a student of each, and two systems of the second student.
    private func stages(_ change: [String: String] = [:], failures: [String: Int] = [:]) -> [any Stage] {
        func stage(_ name: String, _ sources: [String] = []) -> Written {
            Written(
                shelf: shelf, name: name, sources: sources, settings: ["setting": change[name] ?? "a"],
                failures: failures[name] ?? 0)
        }
        return [
            stage("teach/cot"), stage("teach/agent"), stage("train/cot", ["teach/cot"]),
            stage("train/agent", ["teach/agent"]), stage("evaluate/cot", ["train/cot"]),
            stage("evaluate/agent", ["train/agent"]), stage("judge/agent", ["evaluate/agent"]),
        ]
    }

    private func scheduler(_ records: [String: StageRecord] = [:], limit: Double = 0.5) -> Scheduler {
        Scheduler(records, failureLimit: limit) { _ in }
    }

    static let followers = [
        "teach/cot": ["teach/cot", "train/cot", "evaluate/cot"],
        "teach/agent": ["teach/agent", "train/agent", "evaluate/agent", "judge/agent"],
        "train/cot": ["train/cot", "evaluate/cot"],
        "train/agent": ["train/agent", "evaluate/agent", "judge/agent"], "evaluate/cot": ["evaluate/cot"],
        "evaluate/agent": ["evaluate/agent", "judge/agent"], "judge/agent": ["judge/agent"],
    ]

    @Test(
        "a change has exactly those made anew that depend on it, and the plan says so",
        arguments: SchedulerTests.followers.keys)
    func change(changed: String) async throws {
        let scheduler = scheduler()
        try await scheduler.run(stages())
        #expect(shelf.runs.count == 7)
        #expect(try await scheduler.plan(stages()).isDone)
        shelf.forgetRuns()
        try await scheduler.run(stages())
        #expect(shelf.runs.isEmpty)
        let plan = try await scheduler.plan(stages([changed: "b"]))
        #expect(plan[changed] == .remake(["setting"]))
        let planned = plan.entries.filter { $0.action != .keep }.map(\.stage)
        #expect(Set(planned) == Set(Self.followers[changed] ?? []))
        try await scheduler.run(stages([changed: "b"]))
        #expect(Set(shelf.runs) == Set(planned) && shelf.runs.count == planned.count)
    }

    @Test("what was removed or changed by something else is made anew, and what rests on it")
    func lost() async throws {
        let scheduler = scheduler()
        try await scheduler.run(stages())
        for strange in [nil, "edited"] {
            shelf["train/cot"] = strange
            #expect(try await scheduler.plan(stages())["train/cot"] == .replace)
            shelf.forgetRuns()
            try await scheduler.run(stages())
            #expect(shelf.runs.first == "train/cot" && !shelf.runs.contains("teach/cot"))
            #expect(shelf["train/cot"] == "train/cot(teach/cot(setting=a);setting=a)")
        }
    }

    @Test("a new stage beside others leaves them alone")
    func beside() async throws {
        let scheduler = scheduler()
        try await scheduler.run(stages())
        shelf.forgetRuns()
        let new = Written(shelf: shelf, name: "evaluate/agent+sag", sources: ["train/agent"], settings: ["votes": "8"])
        try await scheduler.run(stages() + [new])
        #expect(shelf.runs == ["evaluate/agent+sag"])
    }

    @Test(
        "failures make a stage partial: it is tried again, and what rests on it follows when something else came of it")
    func partial() async throws {
        let scheduler = scheduler()
        try await scheduler.run(stages(failures: ["teach/agent": 3]))
        let record = await scheduler.records["teach/agent"]
        #expect(record?.state == .partial && record?.failed == 3 && record?.total == 10)
        let plan = try await scheduler.plan(stages())
        #expect(plan["teach/agent"] == .retry(3) && plan["train/agent"] == .mayFollow(["teach/agent"]))
        #expect(plan["train/cot"] == .keep)
        shelf.forgetRuns()
        try await scheduler.run(stages())
        #expect(shelf.runs == ["teach/agent", "train/agent", "evaluate/agent", "judge/agent"])
        #expect(await scheduler.records["teach/agent"]?.state == .complete)
        #expect(shelf["train/agent"] == "train/agent(teach/agent(setting=a);setting=a)")
    }

    @Test("failures above the declared share end the run, which goes on from there")
    func limit() async throws {
        let scheduler = scheduler(limit: 0.2)
        let error = await #expect(throws: RunError.self) {
            try await scheduler.run(stages(failures: ["teach/agent": 3]))
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("teach/agent: 3 of 10 failed (3 × broke)"))
        #expect(shelf.runs == ["teach/cot", "teach/agent"])
        try await scheduler.run(stages(failures: ["teach/agent": 2]))
        #expect(shelf.runs.count == 2 + 6)
    }

    /// Writes of the manifest until the run is killed: before the write, or behind it.
    private final class Disk: Sendable {
        let state: Mutex<(records: [String: StageRecord], left: Int)>
        init(_ records: [String: StageRecord], killedAt left: Int) { state = Mutex((records, left)) }

        func write(_ records: [String: StageRecord], isWritten: Bool) throws {
            try state.withLock { state in
                state.left -= 1
                if state.left > 0 || isWritten { state.records = records }
                if state.left == 0 { throw Killed() }
            }
        }
    }

    @Test(
        "killed at any write of the manifest, nothing old is shown as new, forward and back", arguments: [true, false])
    func killed(isWritten: Bool) async throws {
        let old = stages(), new = stages(["teach/agent": "b", "train/cot": "b"])
        func run(_ stages: [any Stage], _ records: [String: StageRecord], at write: Int) async throws
            -> (records: [String: StageRecord], wasKilled: Bool)
        {
            let disk = Disk(records, killedAt: write)
            let scheduler = Scheduler(records, failureLimit: 0) { try disk.write($0, isWritten: isWritten) }
            do {
                try await scheduler.run(stages)
            } catch is Killed {
                return (disk.state.withLock { $0.records }, true)
            }
            return (disk.state.withLock { $0.records }, false)
        }
        let expected = [
            "teach/agent": "teach/agent(setting=b)",
            "evaluate/agent": "evaluate/agent(train/agent(teach/agent(setting=b);setting=a);setting=a)",
            "evaluate/cot": "evaluate/cot(train/cot(teach/cot(setting=a);setting=b);setting=a)",
        ]
        var write = 1
        while write < 100 {
            for stage in old { shelf[stage.name] = nil }
            var records = try await run(old, [:], at: .max).records
            let killed = try await run(new, records, at: write)
            // Whatever is marked as done now is what it says.
            for (name, record) in killed.records where record.state == .complete {
                let isNew = record.inputs["setting"] == "b"
                #expect(shelf[name]?.contains("\(name)(") == true)
                if name == "teach/agent" { #expect(shelf[name]?.contains("setting=b") == isNew) }
            }
            records = killed.records
            if write % 2 == 0 {
                // Back to the old recipe, and forward again.
                records = try await run(old, records, at: .max).records
                #expect(shelf["evaluate/agent"]?.contains("=b") == false)
            }
            _ = try await run(new, records, at: .max)
            for (name, text) in expected { #expect(shelf[name] == text) }
            if !killed.wasKilled { break }
            write += 1
        }
        #expect(write > 10 && write < 100)
    }
}

@Suite("What a stage depends on")
struct StageInputTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")

    @Test(
        "a byte of any file of a model changes its digest, with the same size and times; strangers in its folder do not"
    )
    func model() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let more = folder.appendingPathComponent("additional_chat_templates")
        try FileManager.default.createDirectory(at: more, withIntermediateDirectories: true)
        let names = [
            "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            "model.safetensors.index.json", "tokenizer.json", "chat_template.jinja", "merges.txt",
            "additional_chat_templates/tool_use.jinja",
        ]
        let digests = FileDigests(folder.appendingPathComponent(".digests"))
        for name in names { try Data("{\"\(name)\": 1}".utf8).write(to: folder.appendingPathComponent(name)) }
        var known = [try digests.model(folder)]
        #expect(try digests.model(folder) == known[0])
        for name in names {
            let file = folder.appendingPathComponent(name)
            let date = try FileManager.default.attributesOfItem(atPath: file.path)[.modificationDate]
            let handle = try FileHandle(forWritingTo: file)
            try handle.seek(toOffset: 1)
            try handle.write(contentsOf: Data("'".utf8))
            try handle.close()
            try FileManager.default.setAttributes([.modificationDate: date as Any], ofItemAtPath: file.path)
            known.append(try digests.model(folder))
        }
        #expect(Set(known).count == names.count + 1)
        for stranger in [
            "README.md", "manifest.json", "training.safetensors", ".hidden.json", "additional_chat_templates/notes.txt",
        ] {
            try Data("x".utf8).write(to: folder.appendingPathComponent(stranger))
        }
        #expect(try digests.model(folder) == known.last)
        // One that is there or not makes a difference, too.
        try FileManager.default.removeItem(at: more)
        known.append(try digests.model(folder))
        #expect(Set(known).count == names.count + 2)
        #expect(throws: RunError.self) { try digests.model(folder.appendingPathComponent("absent")) }
    }

    @Test("an adapter's digest is of its base as well")
    func adapter() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let (base, adapter) = (folder.appendingPathComponent("base"), folder.appendingPathComponent("adapter"))
        for place in [base, adapter] {
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        }
        try Data("{}".utf8).write(to: base.appendingPathComponent("config.json"))
        try Data(#"{"base_model_name_or_path": "../base"}"#.utf8)
            .write(to: adapter.appendingPathComponent("adapter_config.json"))
        let before = try FileDigests().model(adapter)
        try Data("{ }".utf8).write(to: base.appendingPathComponent("config.json"))
        #expect(try FileDigests().model(adapter) != before)
    }

    @Test("each key of a plan is an input of its own, long texts by their digest")
    func settings() throws {
        var plan = FilterPlan()
        let before = try StageInput.settings("filter", plan)
        plan.keepEach = 2
        let changed = Set(try StageInput.settings("filter", plan)).subtracting(before)
        #expect(changed == [StageInput(name: "filter.keepEach", value: "2")])
        #expect(StageInput.text("t", "short").value == "short")
        #expect(StageInput.text("t", "two\nlines").value.hasPrefix("sha256:"))
        #expect(ContentDigest.of(Data("abc".utf8)).hasPrefix("ba7816bf8f01cfea414140de5dae2223b00361a3"))
    }

    @Test("what was spent is known to the next run, also when a line was cut off")
    func spending() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent("spending.jsonl")
        let ledger = try SpendingLedger(file)
        try ledger.add(.init(promptTokens: 10, completionTokens: 3), for: "teacher")
        try ledger.add(.init(promptTokens: 5, completionTokens: 1), for: "judge")
        let handle = try FileHandle(forWritingTo: file)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(#"{"account":"teach"#.utf8))
        try handle.close()
        let next = try SpendingLedger(file)
        #expect(next.spent(for: "teacher").promptTokens == 10 && next.spent(for: "judge").completionTokens == 1)
        try next.add(.init(promptTokens: 1, completionTokens: 1), for: "teacher")
        #expect(try SpendingLedger(file).spent(for: "teacher").promptTokens == 11)
    }
}
