import Foundation

/// The progress of a stage on standard error: rewritten in place on a terminal, otherwise a line every ten seconds. It
/// also goes to the run's journal.
final class ProgressLine {
    private let name: String
    private let start = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let journal = ProgressJournal.current

    init(_ name: String) { self.name = name }

    /// Shows progress, unless something was shown very recently.
    /// - Parameter figures: further figures for the journal, by name.
    func show(_ done: Int, of total: Int, _ detail: String = "", figures: [String: Double]? = nil) {
        journal?.note(name, done, of: total, detail, figures)
        let pause: Duration = isTerminal ? .milliseconds(200) : .seconds(10)
        let now = ContinuousClock.now
        if let lastShown, lastShown.duration(to: now) < pause, done < total { return }
        if !isTerminal, done < total, lastShown == nil, start.duration(to: now) < pause { return }
        lastShown = now
        let elapsed = start.duration(to: now) / .seconds(1)
        let left = done > 0 ? elapsed / Double(done) * Double(total - done) : 0
        let rate = elapsed > 0 ? Double(done) / elapsed : 0
        write(
            "\(name)  \(done)/\(total)  \(String(format: "%.1f", rate))/s  \(detail)"
                + (done < total ? "  \(Self.time(left)) left" : "  in \(Self.time(elapsed))"),
            isLast: done >= total)
    }

    /// Shows progress of work of unknown length, unless something was shown very recently.
    func show(_ done: Int) {
        let pause: Duration = isTerminal ? .milliseconds(200) : .seconds(10)
        let now = ContinuousClock.now
        guard (lastShown ?? start).duration(to: now) >= pause else { return }
        lastShown = now
        let rate = Double(done) / (start.duration(to: now) / .seconds(1))
        write("\(name)  \(done)  \(String(format: "%.1f", rate))/s", isLast: false)
    }

    /// Writes a note about the stage on a line of its own.
    func note(_ text: String) {
        journal?.note(name, text)
        write("\(name)  \(text)", isLast: true)
    }

    private func write(_ text: String, isLast: Bool) {
        let line = isTerminal ? "\r\u{1B}[K\(text)\(isLast ? "\n" : "")" : "\(text)\n"
        FileHandle.standardError.write(Data(line.utf8))
    }

    static func time(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        return whole < 60 ? "\(whole) s" : "\(whole / 60) min \(whole % 60) s"
    }
}
