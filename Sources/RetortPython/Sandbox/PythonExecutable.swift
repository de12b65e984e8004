import Foundation
import RetortCore

/// The Python that programs run in: `RETORT_PYTHON`, else `.retort/python`, looked for upwards from the current
/// folder and from the program's.
package enum PythonExecutable {
    /// - Throws: `PythonError.notFound`.
    package static func find() throws -> URL {
        if let path = ProcessInfo.processInfo.environment["RETORT_PYTHON"], !path.isEmpty {
            return URL(fileURLWithPath: path)
        }
        let (found, looked) = NearbyFile.find(".retort/python/bin/python")
        if let found, FileManager.default.isExecutableFile(atPath: found.path) { return found }
        throw PythonError.notFound(looked: Array(looked.prefix(2)))
    }
}
