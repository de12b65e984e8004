import ArgumentParser
import Foundation
import RetortCore
import RetortStore

/// The source of a command's trajectories.
struct TrajectorySource: ParsableArguments {
    @Argument(
        help:
            "A .jsonl file of trajectories, a run's folder, a trajectory store, or ToolBench's data (a .json file, or a folder of them)."
    )
    var source: String
    @Option(help: "The set, when the source is a run's folder or a store.") var set: String?
    @Flag(help: "Only trajectories that were graded as correct.") var correct = false

    /// Reads the trajectories. Records of ToolBench's data that are left out are reported on standard error.
    func read() async throws -> [Trajectory] {
        let url = URL(fileURLWithPath: source)
        var isFolder: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: source, isDirectory: &isFolder)
        let store = url.appendingPathComponent("trajectories.sqlite")
        if isThere, isFolder.boolValue, set != nil || FileManager.default.fileExists(atPath: store.path) {
            return try await read(store)
        }
        if isThere, !isFolder.boolValue, url.pathExtension == "sqlite" { return try await read(url) }
        guard !correct else { throw ValidationError("--correct needs a run's folder or a store: a file has no grades") }
        guard isThere, isFolder.boolValue || url.pathExtension == "json" else {
            return try JSONLinesFile(url).read(Trajectory.self).records
        }
        let (trajectories, account) = try ToolBenchImporter().read(url)
        account.showRejections()
        guard !trajectories.isEmpty else {
            throw ValidationError("\(source) holds neither a run nor data of ToolBench; see 'retort help import'")
        }
        return trajectories
    }

    private func read(_ file: URL) async throws -> [Trajectory] {
        guard let set else {
            throw ValidationError(
                "--set is needed with a run's folder or a store; 'retort inspect \(source)' lists the sets")
        }
        let store = try TrajectoryStore(file, .existing)
        let entries = try await store.entries(in: set)
        guard !entries.isEmpty else {
            throw ValidationError("\(source) has no set '\(set)'; 'retort inspect \(source)' lists the sets")
        }
        return entries.filter { !correct || $0.verdict?.isCorrect == true }.map(\.trajectory)
    }
}
