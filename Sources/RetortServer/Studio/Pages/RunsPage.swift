import Foundation
import RetortRecipes
import RetortStore

/// The list of runs.
struct RunsPage: Sendable {
    struct Row: Sendable {
        let href: String
        let name: String
        let folder: String
        let state: RunState
        /// The stages that are done, of all that have begun.
        let stages: String
        let trajectories: String
        let when: String
        let changed: Date
        /// Why the run cannot be shown; nil if it can.
        let fault: String?
    }

    let rows: [Row]

    /// The row of a run. A run that cannot be read is listed with the reason.
    static func row(_ run: StudioRun) async -> Row {
        var (state, stages, trajectories): (RunState, String, String) = (.store, "–", "–")
        var fault: String?
        do {
            if let manifest = try run.manifest() {
                state = RunState(manifest, isInUse: run.isInUse)
                stages = "\(manifest.stages.values.count { $0.state == .complete }) of \(manifest.stages.count)"
            }
            trajectories = Figure.count(try await run.store().sets().reduce(0) { $0 + $1.count })
        } catch {
            fault = VisibleText.line((error as? APIError)?.message ?? "\(error)", upTo: 600)
        }
        return Row(
            href: "/runs/\(run.name)", name: run.name, folder: run.folder.path, state: state, stages: stages,
            trajectories: trajectories, when: Figure.ago(run.changed), changed: run.changed, fault: fault)
    }
}

/// The state of a run, in a word.
struct RunState: Sendable {
    let word: String
    /// The state's class in the style sheet.
    let tone: String

    static let store = RunState(word: "trajectories only", tone: "plain")

    init(word: String, tone: String) { (self.word, self.tone) = (word, tone) }

    init(_ manifest: Manifest, isInUse: Bool) {
        let states = manifest.stages.values.map(\.state)
        if isInUse {
            self.init(word: "running", tone: "live")
        } else if states.contains(.running) {
            self.init(word: "interrupted", tone: "warn")
        } else if states.contains(.partial) {
            self.init(word: "ended with failures", tone: "warn")
        } else {
            self.init(word: "complete", tone: "good")
        }
    }
}
