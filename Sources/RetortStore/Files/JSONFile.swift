import Foundation
import RetortCore

/// A file that is one JSON value.
public enum JSONFile {
    /// The value, no number changed in type.
    /// - Throws: `JSONFileError` that names the file.
    public static func value(_ file: URL) throws -> JSONValue {
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
    case missing(file: String)
    case malformed(file: String, reason: String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path"
        case .malformed(let file, let reason): "\(file): \(reason); give another file, or mend it"
        }
    }
}
