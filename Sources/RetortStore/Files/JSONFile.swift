import Foundation
import RetortCore

/// Reads a file that is one JSON value.
package enum JSONFile {
    /// The value; integers and floating-point numbers keep their types.
    /// - Throws: `JSONFileError`, which names the file.
    package static func value(_ file: URL) throws -> JSONValue {
        guard let data = try? Data(contentsOf: file) else { throw JSONFileError.missing(file: file.path) }
        do {
            return try ExactJSON.value(of: data)
        } catch {
            throw JSONFileError.malformed(file: file.path, reason: "\(error)")
        }
    }
}

/// A JSON file that cannot be read.
public enum JSONFileError: Error, CustomStringConvertible, Equatable {
    /// The file cannot be read.
    case missing(file: String)
    /// The file is not JSON.
    case malformed(file: String, reason: String)

    /// A message for users: what is wrong, and what to do.
    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path"
        case .malformed(let file, let reason): "\(file): \(reason); give another file, or mend it"
        }
    }
}
