import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes
import RetortStore

/// `retort import`
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Read trajectories that others recorded.",
        discussion: """
              retort import session.jsonl --out trajectories.jsonl
              retort import ~/.claude/projects/shop --format claude-code --store runs/mine/trajectories.sqlite --set teach/agent
              retort import tora-70b-gsm8k-test.jsonl --replay --json
              retort import logs/run.jsonl --questions train.json --family math --out log.jsonl

            The format is that of most of the first records; --format sets it otherwise. Every record becomes a \
            trajectory, or is left out with its line and the reason; corrected faults, and names that were not read, \
            are counted. Without --out and --store it only reports what it would do. A file without a record that \
            becomes a trajectory is an error.

            A run learns from a set that was imported under the name of its teacher's set (teach/agent, teach/cot, …) \
            instead of asking the teacher.
            """)

    @Argument(help: "The file, or a folder of ToolBench's answers or of a coding agent's sessions.") var source:
        [String]
    @Option(help: ArgumentHelp("The format: \(TrajectoryFormat.allCases.map(\.rawValue).joined(separator: ", "))."))
    var format: TrajectoryFormat = .auto
    @Option(help: "The questions that were worked on, to give records back their ids, references and levels.")
    var questions: String?
    @Option(help: "How answers are graded: factual (the default) or math.") var family: AgentTask.Family?
    @Option(help: "What the tasks' split is called (train).") var split: String?
    @Flag(help: "ToRA: run every program in the interpreter, compare the outputs, and grade the answers.")
    var replay = false
    @Option(help: "Write the trajectories here, one JSON object a line.") var out: String?
    @Option(help: "Save them in this trajectory store.") var store: String?
    @Option(help: "The set in the store.") var set: String = "imported"
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard source.count > 1 else { return }
        if TrajectoryFormat(rawValue: source[0]) != nil {
            throw ValidationError(
                "the format is an option now: retort import \(source.dropFirst().joined(separator: " ")) --format \(source[0])"
            )
        }
        throw ValidationError("one file or folder at a time; \(source.count) were named")
    }

    func run() async throws {
        let url = URL(fileURLWithPath: (source[0] as NSString).expandingTildeInPath)
        if replay { return try await runAgain(url) }
        let known = try questions.map {
            try QuestionFile(URL(fileURLWithPath: $0), family: family ?? .factual, split: split ?? "train").tasks
        }
        let options = RecordedTrajectories.Options(
            family: family ?? .factual, split: split ?? "train", tasks: known ?? [])
        let (trajectories, account) = try RecordedTrajectories.stored(url, format: format, options: options)
        try checkFamily(account.format)
        if !trajectories.isEmpty { try await keep(trajectories) }
        try show(account)
        if trajectories.isEmpty { throw ImportError.nothing(file: url.path) }
    }

    /// Refuses a family that a format decides itself.
    private func checkFamily(_ format: TrajectoryFormat?) throws {
        let own: AgentTask.Family? = format == .tora ? .math : format == .toolbench ? .factual : nil
        if let own, let family, family != own {
            throw ValidationError(
                "--family \(family.rawValue) does not fit: \(format?.rawValue ?? "")'s tasks are \(own.rawValue)")
        }
    }

    private func runAgain(_ file: URL) async throws {
        guard format == .auto || format == .tora else { throw ValidationError("--replay is for ToRA's files") }
        try checkFamily(.tora)
        guard questions == nil, split == nil else {
            throw ValidationError("--replay takes questions and split from the file; leave --questions and --split out")
        }
        let replay = try await TrajectoryReplay(toRA: file, runsPrograms: true)
        try await keep(replay.trajectories.map { StoredTrajectory(trajectory: $0, verdict: nil) })
        try show(replay.summary)
    }

    private func keep(_ trajectories: [StoredTrajectory]) async throws {
        if let out { try JSONLines.write(trajectories.map(\.trajectory), to: URL(fileURLWithPath: out)) }
        guard let store else { return }
        let done = try await TrajectoryStore(URL(fileURLWithPath: store)).importing(trajectories, in: set)
        guard done.known + done.renamed > 0 else { return }
        var words = "note: \(set): \(done.added) added"
        if done.known > 0 { words += ", \(done.known) were there already" }
        if done.renamed > 0 { words += ", \(done.renamed) under another id, because theirs is another trajectory's" }
        FileHandle.standardError.write(Data("\(words)\n".utf8))
    }

    private func show(_ account: some Encodable & CustomStringConvertible) throws {
        print(json ? String(decoding: try ExactJSON.encode(account), as: UTF8.self) : account.description)
    }
}

/// Files from which nothing can be imported.
enum ImportError: Error, CustomStringConvertible {
    case nothing(file: String)

    var description: String {
        switch self {
        case .nothing(let file): "no record of \(file) became a trajectory; the summary says why"
        }
    }
}

extension AgentTask.Family: ExpressibleByArgument {}
extension TrajectoryFormat: ExpressibleByArgument {}
