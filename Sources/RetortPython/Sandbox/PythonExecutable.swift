import Foundation

/// The Python that programs run in: `RETORT_PYTHON`, else `.retort/python` upwards from the current folder and from the program's.
package enum PythonExecutable {
    /// - Throws: `PythonError.notFound`.
    package static func find() throws -> URL {
        if let path = ProcessInfo.processInfo.environment["RETORT_PYTHON"] { return URL(fileURLWithPath: path) }
        var looked: [String] = []
        let starts = [FileManager.default.currentDirectoryPath, Bundle.main.bundlePath]
        for start in starts {
            var folder = URL(fileURLWithPath: start).standardizedFileURL
            while folder.path != "/" {
                let candidate = folder.appendingPathComponent(".retort/python/bin/python")
                if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
                looked.append(candidate.path)
                folder.deleteLastPathComponent()
            }
        }
        throw PythonError.notFound(looked: Array(looked.prefix(2)))
    }
}
