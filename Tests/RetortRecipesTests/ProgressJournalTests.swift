import Foundation
import Testing

@testable import RetortRecipes

@Suite("Progress of a run")
struct ProgressJournalTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
    private var file: URL { folder.appendingPathComponent(ProgressJournal.file) }

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    private func lines(_ text: String) throws -> RunProgress {
        try Data(text.utf8).write(to: file)
        return RunProgress(folder: folder)
    }

    @Test("what stages show is noted, and read again")
    func noted() {
        defer { try? FileManager.default.removeItem(at: folder) }
        ProgressJournal.$current.withValue(ProgressJournal(file)) {
            let line = ProgressLine("train/a/agent")
            line.show(4, of: 4, "loss 0.5", figures: ["loss": 0.5, "odd": .nan])
            line.note("all 4 updates")
        }
        let progress = RunProgress(folder: folder)
        #expect(progress.stages["train/a/agent"]?.losses == [.init(update: 4, loss: 0.5)])
        #expect(progress.stages["train/a/agent"]?.last.total == 4)
        #expect(progress.notes.map(\.note) == ["all 4 updates"])
        #expect(RunProgress(folder: folder.appendingPathComponent("none")).stages.isEmpty)
    }

    @Test("rates are of one stretch of work, losses of all of them; a line half written is left out")
    func stretches() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let progress = try lines(
            """
            t": 1}
            {"time": 0, "stage": "train/a", "done": 10, "total": 100, "figures": {"loss": 3}}
            {"time": 10, "stage": "train/a", "done": 20, "total": 100, "figures": {"loss": 2}}
            {"time": 500, "stage": "train/a", "done": 15, "total": 100, "figures": {"loss": 2.5}}
            {"time": 505, "stage": "train/a", "done": 25, "total": 100, "figures": {"loss": 1}}
            {"time": 506, "stage": "train/a", "done": 3
            """)
        let stage = try #require(progress.stages["train/a"])
        #expect(stage.rate == 2 && stage.secondsLeft == 37.5)
        #expect(stage.losses.map(\.update) == [10, 15, 25])
    }
}
