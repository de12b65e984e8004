import Foundation

/// Finds what lies in the folder of a project, or beside an installed program.
public enum NearbyFile {
    /// Looks for a path upwards from the current folder, then from the program's own.
    /// - Returns: where it is, or the places that were looked at, nearest first.
    public static func find(_ path: String) -> (found: URL?, looked: [String]) {
        var looked: [String] = []
        for start in [FileManager.default.currentDirectoryPath, Bundle.main.bundlePath] {
            var folder = URL(fileURLWithPath: start).standardizedFileURL
            while folder.path != "/" {
                let candidate = folder.appendingPathComponent(path)
                if FileManager.default.fileExists(atPath: candidate.path) { return (candidate, looked) }
                looked.append(candidate.path)
                folder.deleteLastPathComponent()
            }
        }
        return (nil, looked)
    }
}
