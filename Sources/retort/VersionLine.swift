import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// What `retort --version` prints: the version, the commit it was built from, libtorch's version, and the kernels
/// that this processor uses.
enum VersionLine {
    static var text: String {
        let commit = commit.map { " (\($0))" } ?? ""
        let kernels = WeightPrecision.allCases.map { "\($0.rawValue): \($0.kernels)" }
        return (["retort \(Retort.version)\(commit)", "libtorch \(Engine.version)"] + kernels).joined(separator: "\n")
    }

    /// For an installed program from a file beside it; otherwise from the repository that contains the program.
    private static var commit: String? {
        func text(_ url: URL) -> String? {
            (try? String(contentsOf: url, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        var folder = URL(fileURLWithPath: Bundle.main.bundlePath).standardizedFileURL
        if let written = text(folder.appendingPathComponent("commit")) { return written }
        while folder.path != "/" {
            let git = folder.appendingPathComponent(".git")
            if let head = text(git.appendingPathComponent("HEAD")) {
                guard head.hasPrefix("ref: ") else { return String(head.prefix(12)) }
                let name = String(head.dropFirst(5))
                return text(git.appendingPathComponent(name)).map { String($0.prefix(12)) }
            }
            folder.deleteLastPathComponent()
        }
        return nil
    }
}
