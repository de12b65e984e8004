import Foundation
import RetortLLM
import Testing

/// The command, which lies beside the tests.
private let binary = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appendingPathComponent("retort")

/// A training that is stopped from outside, as a process: `Tools/kill_training.py` does the same at length.
@Suite("A stopped training", .enabled(if: FileManager.default.isExecutableFile(atPath: binary.path)))
struct StoppedTrainingTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test("goes on from where SIGTERM and SIGKILL ended it, to the same weights")
    func stopped() async throws {
        let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: scratch) }
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        let recipe = scratch.appendingPathComponent("tiny.yaml")
        try Data(
            """
            name: tiny
            tokenizer: \(Self.root.path)/seedlings/tokenizer
            hiddenSize: 16
            intermediateSize: 32
            layers: 2
            heads: 2
            rows: 300
            rowTokens: 128
            """.utf8
        ).write(to: recipe)
        let (whole, stopped) = (scratch.appendingPathComponent("whole"), scratch.appendingPathComponent("stopped"))
        #expect(try await start(recipe, whole, scratch).ended() == 0)

        var updates = 0
        for signal in [SIGTERM, SIGKILL, SIGTERM, SIGTERM] {
            let run = try start(recipe, stopped, scratch)
            try await Task.sleep(for: .milliseconds(.random(in: 300...1500)))
            if run.process.isRunning { kill(run.process.processIdentifier, signal) }
            let status = try await run.ended()
            if status == 0 { break }
            #expect(status == (signal == SIGTERM ? 130 : SIGKILL))
            let now = try Self.updates(in: stopped)
            #expect(now >= updates)
            updates = now
        }
        #expect(try await start(recipe, stopped, scratch).ended() == 0)
        for name in ["model.safetensors", "manifest.json"] {
            #expect(
                try Data(contentsOf: stopped.appendingPathComponent(name))
                    == Data(contentsOf: whole.appendingPathComponent(name)))
        }
    }

    /// How many updates a checkpoint holds.
    private static func updates(in folder: URL) throws -> Int {
        let file = folder.appendingPathComponent("training.safetensors")
        guard FileManager.default.fileExists(atPath: file.path) else { return 0 }
        return try SafetensorsFile(file).metadata["losses"]?.split(separator: " ").count ?? 0
    }

    private func start(_ recipe: URL, _ folder: URL, _ scratch: URL) throws -> Run {
        let process = Process()
        process.executableURL = binary
        process.arguments = ["pretrain", recipe.path, "--out", folder.path]
        process.currentDirectoryURL = scratch
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return Run(process: process)
    }

    private struct Run {
        let process: Process

        /// Its exit status, or the signal that ended it, within ten minutes.
        func ended() async throws -> Int32 {
            let end = ContinuousClock.now + .seconds(600)
            while process.isRunning {
                guard ContinuousClock.now < end else {
                    kill(process.processIdentifier, SIGKILL)
                    throw TooSlow()
                }
                try await Task.sleep(for: .milliseconds(20))
            }
            return process.terminationStatus
        }
    }

    private struct TooSlow: Error {}
}
