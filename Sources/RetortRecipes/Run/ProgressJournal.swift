import CoreMetrics
import Foundation
import RetortCore
import Synchronization

/// Records the progress of a run's stages as JSON Lines that others can read during the run: `progress.jsonl` in its
/// folder.
///
/// A stage writes at most two lines per second, and always its last one. The file is only for viewing: no result
/// depends on it, and a run continues when a line cannot be written.
final class ProgressJournal: Sendable {
    /// Its name in a run's folder.
    static let file = "progress.jsonl"
    /// The journal of the run that this task works for.
    @TaskLocal static var current: ProgressJournal?

    /// The size at which a journal is started again, in bytes.
    private static let limit = 64 << 20
    private static let pause = Duration.milliseconds(500)

    /// Nil where the file cannot be written.
    private let lines: AppendedLines?
    /// When each stage last wrote a line.
    private let last = Mutex<[String: ContinuousClock.Instant]>([:])

    /// Continues a file, or creates it.
    init(_ file: URL) {
        let size = (try? FileManager.default.attributesOfItem(atPath: file.path))?[.size] as? Int
        if size.map({ $0 > Self.limit }) ?? true {
            _ = FileManager.default.createFile(atPath: file.path, contents: nil)
        }
        lines = try? AppendedLines(file)
        write(RunProgress.Line(time: Date().timeIntervalSince1970, stage: "", note: "the run begins"))
    }

    func note(_ stage: String, _ done: Int, of total: Int, _ detail: String, _ figures: [String: Double]?) {
        let isDue = last.withLock { last in
            let now = ContinuousClock.now
            if done < total, let last = last[stage], last.duration(to: now) < Self.pause { return false }
            last[stage] = now
            return true
        }
        guard isDue else { return }
        // JSON cannot represent infinite numbers or NaN.
        let figures = figures?.filter { $0.value.isFinite }
        record(stage, done, of: total, figures ?? [:])
        write(
            RunProgress.Line(
                time: Date().timeIntervalSince1970, stage: stage, done: done, total: total, detail: detail,
                figures: figures))
    }

    /// The same as metrics, where a backend collects them: `retort_stage_done`, `retort_stage_total`, and each figure.
    private func record(_ stage: String, _ done: Int, of total: Int, _ figures: [String: Double]) {
        let dimensions = [("stage", stage)]
        Gauge(label: "retort_stage_done", dimensions: dimensions).record(done)
        Gauge(label: "retort_stage_total", dimensions: dimensions).record(total)
        for (name, value) in figures {
            Gauge(label: "retort_stage_\(name)", dimensions: dimensions).record(value)
        }
    }

    func note(_ stage: String, _ text: String) {
        write(RunProgress.Line(time: Date().timeIntervalSince1970, stage: stage, note: text.shown(upTo: 4000)))
    }

    private func write(_ line: RunProgress.Line) {
        guard let data = try? JSONCoding.encoder.encode(line) else { return }
        try? lines?.append(data)
    }
}

/// The progress of a run's stages, read from its journal.
package struct RunProgress: Sendable, Hashable {
    /// A line of the journal.
    package struct Line: Codable, Sendable, Hashable {
        /// When it was written, in seconds since 1970.
        package var time: Double
        /// The stage's name; empty for the run itself.
        package var stage: String
        /// How many items are done; nil for a note.
        package var done: Int?
        /// How many items there are in all; nil for a note.
        package var total: Int?
        /// What the terminal shows beside the numbers.
        package var detail: String?
        /// Figures by name, such as `loss`, `tokensPerSecond` and `correct`.
        package var figures: [String: Double]?
        /// A note in words; nil for a line of progress.
        package var note: String?
    }

    /// A stage's last line with numbers, and the first one of the same stretch of work.
    package struct Stage: Sendable, Hashable {
        /// The first line.
        package var first: Line
        /// The last line.
        package var last: Line
        /// The losses by update, where the stage trains.
        package var losses: [Point] = []

        /// Items done per second, in this stretch of work; nil when it cannot be told.
        package var rate: Double? {
            guard let from = first.done, let to = last.done, to > from else { return nil }
            let seconds = last.time - first.time
            return seconds > 0 ? Double(to - from) / seconds : nil
        }

        /// The expected time left, in seconds; nil when it cannot be told.
        package var secondsLeft: Double? {
            guard let rate, let done = last.done, let total = last.total, total > done else { return nil }
            return Double(total - done) / rate
        }
    }

    /// A loss at an update.
    package struct Point: Sendable, Hashable {
        /// How many updates were done.
        package var update: Int
        /// The loss.
        package var loss: Double
    }

    /// The stages by name.
    package private(set) var stages: [String: Stage] = [:]
    /// The last twelve notes.
    package private(set) var notes: [Line] = []

    private static let mostNotes = 12
    /// How much of a journal's end is read, in bytes.
    private static let read = 4 << 20

    /// Reads the end of a run's journal; empty where there is none.
    package init(folder: URL) {
        guard let handle = try? FileHandle(forReadingFrom: folder.appendingPathComponent(ProgressJournal.file)) else {
            return
        }
        defer { try? handle.close() }
        let size = (try? handle.seekToEnd()) ?? 0
        try? handle.seek(toOffset: size > UInt64(Self.read) ? size - UInt64(Self.read) : 0)
        guard let data = try? handle.readToEnd() else { return }
        for line in data.split(separator: UInt8(ascii: "\n")) {
            // The first line may be cut off, and the last one incomplete.
            guard let line = try? JSONCoding.decoder.decode(Line.self, from: line) else { continue }
            add(line)
        }
    }

    private mutating func add(_ line: Line) {
        if let note = line.note, !note.isEmpty, !line.stage.isEmpty {
            notes.append(line)
            if notes.count > Self.mostNotes { notes.removeFirst() }
        }
        guard let done = line.done else { return }
        if var stage = stages[line.stage], let before = stage.last.done, before <= done {
            stage.last = line
            if let loss = line.figures?["loss"] { stage.losses.append(Point(update: done, loss: loss)) }
            stages[line.stage] = stage
        } else {
            // Work that starts again, or continues from a checkpoint.
            var losses = stages[line.stage]?.losses.filter { $0.update < done } ?? []
            if let loss = line.figures?["loss"] { losses.append(Point(update: done, loss: loss)) }
            stages[line.stage] = Stage(first: line, last: line, losses: losses)
        }
    }
}
