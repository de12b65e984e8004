import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes

/// `retort import`
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Read trajectories that others published.", subcommands: [ToRA.self])

    /// `retort import tora`
    struct ToRA: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "tora", abstract: "Read ToRA's trajectories, and run their programs again.",
            discussion: """
                  retort import tora tora-70b-gsm8k-test.jsonl --out trajectories.jsonl
                  retort import tora tora-70b-gsm8k-test.jsonl --replay --json
                """)

        @Argument(help: "The JSON Lines file.") var file: String
        @Flag(help: "Run every program in the interpreter, compare the outputs, and grade the answers.")
        var replay = false
        @Flag(help: "Print JSON.") var json = false
        @Option(help: "Write the trajectories here, one JSON object a line.") var out: String?

        func run() async throws {
            let replay = try await TrajectoryReplay(toRA: URL(fileURLWithPath: file), runsPrograms: replay)
            if let out { try JSONLines.write(replay.trajectories, to: URL(fileURLWithPath: out)) }
            if json {
                print(String(decoding: try JSONCoding.encoder.encode(replay.summary), as: UTF8.self))
            } else {
                print(replay.summary.description)
            }
        }
    }
}
