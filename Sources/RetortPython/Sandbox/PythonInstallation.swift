import Foundation
import RetortCore

/// A CPython on this machine, and the folders it needs.
struct PythonInstallation: Sendable {
    let executable: URL
    /// Folders and files that the interpreter reads, including its libraries; programs see nothing else.
    let readable: [String]

    private struct Answer: Decodable {
        var version: [Int]
        var prefix: String
        var basePrefix: String
        var realExecutable: String
        var path: [String]
    }

    private static let question = """
        import json, os, sys
        print(json.dumps({"version": list(sys.version_info[:2]), "prefix": sys.prefix, "basePrefix": sys.base_prefix,
            "realExecutable": os.path.realpath(sys.executable), "path": [p for p in sys.path if os.path.exists(p)]}))
        """

    /// - Parameter python: the executable; nil looks at `RETORT_PYTHON`, then for `.retort/python` upwards from the
    ///   current folder and from the program's.
    init(_ python: URL?) async throws {
        executable = try python ?? PythonExecutable.find()
        let result = try await Command.run(executable.path, ["-s", "-P", "-c", Self.question], seconds: 20)
        guard result.status == 0, let answer = try? JSONCoding.decoder.decode(Answer.self, from: result.output) else {
            throw PythonError.cannotStart(path: executable.path, reason: result.errorText)
        }
        guard answer.version.lexicographicallyPrecedes([3, 11]) == false else {
            throw PythonError.cannotStart(
                path: executable.path,
                reason:
                    "it is Python \(answer.version.map(String.init).joined(separator: ".")), 3.11 or later is needed")
        }
        // A Python with a prefix of its own is taken whole; from the system's, only the parts that belong to Python.
        let isSystem = answer.basePrefix == "/usr"
        let own = isSystem ? answer.path + [answer.realExecutable] : [answer.basePrefix]
        let isEnvironment = answer.prefix != answer.basePrefix
        let libraries = ["/lib", "/usr/lib"].flatMap { folder in
            ["x86_64-linux-gnu", "aarch64-linux-gnu"].map { "\(folder)/\($0)" }
        }
        let folders = own + (isEnvironment ? [answer.prefix] : []) + libraries
        let path = executable.path
        let link = folders.contains { path.hasPrefix("\($0)/") } ? [] : [path]
        readable = (folders + link + ["/lib64", "/usr/lib64", "/usr/share/zoneinfo"])
            .filter { FileManager.default.fileExists(atPath: $0) }
    }
}
