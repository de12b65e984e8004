import Foundation
import RetortCore

/// Reads the JSON files of a checkpoint's folder: a byte-order mark is skipped, and of two members with the same name
/// the last counts, as in Python.
enum CheckpointJSON {
    /// The members of a file's object; nil when there is no such file.
    /// - Throws: `CheckpointError.malformed` for a file that is not a JSON object.
    static func object(_ file: URL) throws -> [String: JSONValue]? {
        guard let data = try? Data(contentsOf: file) else { return nil }
        let value: JSONValue
        do {
            value = try ExactJSON.value(of: withoutMark(data))
        } catch {
            throw CheckpointError.malformed(file: file.path, "\(error)")
        }
        guard let object = value.object else {
            throw CheckpointError.malformed(file: file.path, "it is not a JSON object")
        }
        return object
    }

    /// The data without a byte-order mark.
    static func withoutMark(_ data: Data) -> Data {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        return data.starts(with: mark) ? data.dropFirst(mark.count) : data
    }

    /// Writes an object so that every number keeps its exact value.
    static func write(_ object: [String: JSONValue], to file: URL) throws {
        try AtomicFile.write(Data(ExactJSON.text(.object(object)).utf8), to: file)
    }
}
