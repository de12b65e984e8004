import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes
import RetortStore

/// `retort import`
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Read trajectories that others published.",
        discussion: """
              retort import tora tora-70b-gsm8k-test.jsonl --out tora.jsonl
              retort import fireact hotpotqa.json --store runs/mine/trajectories.sqlite --set teach/agent
              retort import distillation-log logs/*.jsonl --questions train.json --family math --out log.jsonl
              retort import toolbench raw_data_stage_2.json --out toolbench.jsonl

            Every record becomes a trajectory, or is left out with its number and the reason; faults that were put right are \
            counted by name. Without --out and --store it only tells what it would do.

            A run learns from a set that was imported under the name of its teacher's (teach/agent, teach/cot, …) instead of \
            asking the teacher.
            """,
        subcommands: [ToRA.self, FireAct.self, DistillationLog.self, ToolBench.self, ATIF.self, Trajectories.self])

    /// Where the trajectories go, and how the account is printed.
    struct Target: ParsableArguments {
        @Option(help: "Write the trajectories here, one JSON object a line.") var out: String?
        @Option(help: "Save them in this trajectory store.") var store: String?
        @Option(help: "The store's set.") var set: String = "imported"
        @Flag(help: "Print JSON.") var json = false

        func keep(_ trajectories: [StoredTrajectory]) async throws {
            if let out { try JSONLines.write(trajectories.map(\.trajectory), to: URL(fileURLWithPath: out)) }
            if let store { try await TrajectoryStore(URL(fileURLWithPath: store)).importing(trajectories, in: set) }
        }

        func show(_ account: some Encodable & CustomStringConvertible) throws {
            print(json ? String(decoding: try ExactJSON.encode(account), as: UTF8.self) : account.description)
        }

        func finish(_ trajectories: [Trajectory], _ account: ImportAccount) async throws {
            try await keep(trajectories.map { StoredTrajectory(trajectory: $0, verdict: nil) })
            try show(account)
        }
    }

    /// `retort import tora`
    struct ToRA: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "tora", abstract: "ToRA's trajectories; their programs can be run again.",
            discussion: """
                  retort import tora tora-70b-gsm8k-test.jsonl --out trajectories.jsonl
                  retort import tora tora-70b-gsm8k-test.jsonl --replay --json
                """)

        @Argument(help: "The JSON Lines file.") var file: String
        @Flag(help: "Run every program in the interpreter, compare the outputs, and grade the answers.")
        var replay = false
        @OptionGroup var target: Target

        func run() async throws {
            let replay = try await TrajectoryReplay(toRA: URL(fileURLWithPath: file), runsPrograms: replay)
            try await target.keep(replay.trajectories.map { StoredTrajectory(trajectory: $0, verdict: nil) })
            try target.show(replay.summary)
        }
    }

    /// `retort import fireact`
    struct FireAct: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "fireact", abstract: "FireAct's ReAct trajectories.")

        @Argument(help: "The JSON file.") var file: String
        @OptionGroup var target: Target

        func run() async throws {
            let trajectories = try FireActImporter.read(URL(fileURLWithPath: file))
            try await target.finish(trajectories, ImportAccount(all: trajectories.count))
        }
    }

    /// `retort import distillation-log`
    struct DistillationLog: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "distillation-log", abstract: "Logs of agent-distillation's runs (smolagents' messages).")

        @Argument(help: "The JSON Lines file, as written, scored or filtered.") var file: String
        @Option(help: "The questions that were worked on, to give records back their ids, references and levels.")
        var questions: String?
        @Option(help: "How answers are graded: factual or math.") var family: AgentTask.Family = .factual
        @OptionGroup var target: Target

        func run() async throws {
            let known = try questions.map {
                try QuestionFile(URL(fileURLWithPath: $0), family: family, split: "train").tasks
            }
            let importer = DistillationLogImporter(family: family, questions: known ?? [])
            let (trajectories, account) = try importer.read(URL(fileURLWithPath: file))
            try await target.keep(trajectories)
            try target.show(account)
        }
    }

    /// `retort import toolbench`
    struct ToolBench: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "toolbench", abstract: "ToolBench's answers, and α-UMi's stages of them.")

        @Argument(help: "A JSON file of records, or a folder of answer files.") var source: String
        @Option(help: "What the tasks' split is called.") var split: String = "train"
        @OptionGroup var target: Target

        func run() async throws {
            let (trajectories, account) = try ToolBenchImporter(split: split).read(URL(fileURLWithPath: source))
            try await target.finish(trajectories, account)
        }
    }

    /// `retort import atif`
    struct ATIF: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "atif", abstract: "Documents of the Agent Trajectory Interchange Format.")

        @Argument(help: "A document, a list of them (.json), or one a line (.jsonl).") var file: String
        @Option(help: "How answers are graded: factual or math.") var family: AgentTask.Family = .factual
        @OptionGroup var target: Target

        func run() async throws {
            let (trajectories, account) = try ATIFImporter(family: family).read(URL(fileURLWithPath: file))
            try await target.finish(trajectories, account)
        }
    }

    /// `retort import trajectories`
    struct Trajectories: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "trajectories", abstract: "Retort's own trajectories, one JSON object a line.")

        @Argument(help: "The JSON Lines file.") var file: String
        @OptionGroup var target: Target

        func run() async throws {
            let read = try JSONLinesFile(URL(fileURLWithPath: file)).read(Trajectory.self)
            try await target.finish(read.records, ImportAccount(all: read.records.count))
        }
    }
}

extension AgentTask.Family: ExpressibleByArgument {}
