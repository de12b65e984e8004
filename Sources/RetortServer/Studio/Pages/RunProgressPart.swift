import Foundation
import RetortEvaluation
import RetortRecipes

/// A run's stages with their progress, rates and losses: the part of its page that is kept up to date.
struct RunProgressPart: Sendable {
    struct Row: Sendable {
        let name: String
        /// The list of its trajectories, if the stage made any.
        let href: String?
        let state: RunState
        /// The bar of a stage in progress; nil for others.
        let bar: Bar?
        let seconds: String
        let words: [String]
    }

    struct Bar: Sendable {
        let done: Int
        let total: Int
        let words: String
        let detail: String
    }

    struct Curve: Sendable {
        let name: String
        let last: String
        /// The chart, as SVG made of numbers and escaped words.
        let chart: String
    }

    struct Note: Sendable {
        let stage: String
        let text: String
    }

    let state: RunState
    let rows: [Row]
    let curves: [Curve]
    let notes: [Note]
    /// The time that all stages worked, in words.
    let seconds: String

    init(_ run: StudioRun) async throws {
        let manifest = try run.manifest()
        let isInUse = run.isInUse
        let progress = RunProgress(folder: run.folder)
        let sets = Set(try await run.store().sets().map(\.name))
        let stages = (manifest?.stages ?? [:]).sorted { a, b in
            let isLast = (a.value.state == .running, b.value.state == .running)
            return isLast.0 == isLast.1 ? a.value.finished < b.value.finished : isLast.1
        }
        state = manifest.map { RunState($0, isInUse: isInUse) } ?? .store
        rows = stages.map { name, record in
            let isAtWork = isInUse && record.state == .running
            return Row(
                name: name, href: sets.contains(name) ? run.address(ofSet: name) : nil,
                state: Self.state(record, isInUse: isInUse), bar: isAtWork ? progress.stages[name].map(Self.bar) : nil,
                seconds: record.seconds > 0 ? Figure.seconds(record.seconds) : "–",
                words: Self.words(name, record, run))
        }
        curves = stages.compactMap { name, record in
            Self.curve(name, run, isInUse && record.state == .running ? progress.stages[name]?.losses : nil)
        }
        // Notes are of interest while a run goes on; afterwards the stages say enough.
        notes =
            isInUse
            ? progress.notes.suffix(6).map { Note(stage: $0.stage, text: VisibleText.line($0.note ?? "", upTo: 400)) }
            : []
        seconds = Figure.seconds(stages.reduce(0) { $0 + $1.value.seconds })
    }

    private static func state(_ record: StageRecord, isInUse: Bool) -> RunState {
        switch record.state {
        case .complete: RunState(word: "done", tone: "good")
        case .running: isInUse ? RunState(word: "running", tone: "live") : RunState(word: "interrupted", tone: "warn")
        case .partial:
            RunState(word: "\(Figure.count(record.failed)) of \(Figure.count(record.total ?? 0)) failed", tone: "warn")
        }
    }

    private static func words(_ name: String, _ record: StageRecord, _ run: StudioRun) -> [String] {
        let causes = (record.failures ?? [:]).sorted { $0.value > $1.value }.map { "\($0.value) × \($0.key)" }
        guard record.state == .complete, let training = TrainingRecord.of(stage: name, in: run.folder) else {
            return causes
        }
        return causes + [training.choice, training.rangeTest, training.ending].compactMap(\.self)
    }

    private static func bar(_ stage: RunProgress.Stage) -> Bar {
        let (done, total) = (stage.last.done ?? 0, stage.last.total ?? 0)
        var words = ["\(Figure.count(done)) of \(Figure.count(total))"]
        if let rate = stage.rate { words.append("\(Figure.number(rate, rate < 10 ? 2 : 0))/s") }
        if let left = stage.secondsLeft { words.append("\(Figure.seconds(left)) left") }
        return Bar(
            done: done, total: max(total, 1), words: words.joined(separator: " · "),
            detail: VisibleText.line(stage.last.detail ?? ""))
    }

    /// The losses of a training: the live ones while it runs, else those that it ended with.
    private static func curve(_ name: String, _ run: StudioRun, _ live: [RunProgress.Point]?) -> Curve? {
        let points =
            live?.map { (x: Double($0.update), y: $0.loss) }
            ?? TrainingRecord.losses(stage: name, in: run.folder).enumerated().map {
                (x: Double($0.offset + 1), y: $0.element)
            }
        guard points.count > 1 else { return nil }
        let step = max(points.count / 160, 1)
        let shown = stride(from: 0, to: points.count, by: step).map { start in
            let window = points[start..<min(start + step, points.count)]
            return (x: points[start].x, y: window.reduce(0) { $0 + $1.y } / Double(window.count))
        }
        var lines = [Chart.Line(label: "", tone: 2, points: shown)]
        let looks = live == nil ? TrainingRecord.of(stage: name, in: run.folder)?.validation?.points ?? [] : []
        if looks.count > 1 {
            lines.append(Chart.Line(label: "held out", tone: 5, points: looks.map { (Double($0.update), $0.loss) }))
        }
        let ceiling = (shown.map(\.y) + looks.map(\.loss)).max() ?? 1
        return Curve(
            name: String(name.dropFirst("train/".count)), last: Figure.number(points[points.count - 1].y, 3),
            chart: Chart.lines(lines, ceiling: ceiling) { String(Int($0)) })
    }
}

extension StudioRun {
    /// The address of the list of a set's trajectories.
    func address(ofSet set: String, _ more: [(String, String?)] = []) -> String {
        StudioQuery.address("/runs/\(name)/trajectories", [("set", set)] + more)
    }

    /// The address of a trajectory's page.
    func address(of id: String, in set: String, _ more: [(String, String?)] = []) -> String {
        StudioQuery.address("/runs/\(name)/trajectory", [("set", set), ("id", id)] + more)
    }
}
