import Foundation
import RetortCore

/// A file of records, independent of its extension: one JSON list, one JSON value, or one value per line.
///
/// Lines are read one at a time, so the longest line bounds the memory. A byte order mark and Windows line breaks are
/// accepted.
struct RecordFile {
    enum Form: Equatable {
        /// A value on each line.
        case lines
        /// One value; the elements of a list are its records.
        case whole
    }

    let url: URL
    let form: Form

    /// Examines the beginning of a file.
    /// - Throws: `JSONFileError` for a file that cannot be read.
    init(_ url: URL) throws {
        self.url = url
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), !isFolder.boolValue,
            FileManager.default.isReadableFile(atPath: url.path)
        else { throw JSONFileError.missing(file: url.path) }
        form = try Self.form(of: url)
    }

    /// A file whose first line is a complete value other than a list is one of lines; so is one whose lines are several
    /// lists.
    private static func form(of url: URL) throws -> Form {
        var lines: [Data] = []
        let reader = JSONLinesFile(url)
        struct Enough: Error {}
        do {
            try reader.forEachLine { line, _, _ in
                if line.contains(where: { !" \t\r".utf8.contains($0) }) { lines.append(line) }
                if lines.count == 2 { throw Enough() }
            }
        } catch is Enough {
        } catch let error as JSONLinesError {
            // A long line belongs to a list, or is the single value of a file with that extension.
            guard lines.isEmpty, try url.pathExtension.lowercased() == "json" || beginsList(url) else { throw error }
            return .whole
        }
        guard let first = lines.first else { return .lines }
        guard let value = try? ExactJSON.value(of: first) else {
            // A list that continues, a damaged first line of a file of lines, or a value that continues.
            if first.first(where: { !" \t\r".utf8.contains($0) }) == UInt8(ascii: "[") { return .whole }
            let second = lines.dropFirst().first.flatMap { try? ExactJSON.value(of: $0) }
            return second?.object == nil ? .whole : .lines
        }
        return value.array != nil && lines.count == 1 ? .whole : .lines
    }

    private static func beginsList(_ url: URL) throws -> Bool {
        let handle = try FileHandle(forReadingFrom: url)
        defer { try? handle.close() }
        let text = String(decoding: try handle.read(upToCount: 64) ?? Data(), as: UTF8.self)
        return text.drop { $0.isWhitespace || $0 == "\u{FEFF}" }.first == "["
    }

    /// Calls `body` with each record, or the reason why it is none, and its number: the line, or the position in the
    /// list.
    /// - Throws: `JSONFileError`, `JSONLinesError` for a file that cannot be read at all, and what `body` throws.
    func forEach(_ body: (Result<JSONValue, RecordRejection>, Int) throws -> Void) throws {
        switch form {
        case .whole:
            let value = try JSONFile.value(url)
            for (index, element) in (value.array ?? [value]).enumerated() { try body(.success(element), index + 1) }
        case .lines:
            try JSONLinesFile(url).forEachLine { line, number, isEnded in
                guard line.contains(where: { !" \t\r".utf8.contains($0) }) else { return }
                let record: Result<JSONValue, RecordRejection>
                do {
                    record = .success(try ExactJSON.value(of: line))
                } catch {
                    let fault = ExactJSON.encodingFault(line)
                    record = .failure(
                        RecordRejection(
                            fault ?? (isEnded ? "\(error)" : "the file ends in the middle of this record")))
                }
                try body(record, number)
            }
        }
    }

    /// The first records, for recognition; damaged lines are skipped.
    func beginning(_ count: Int) throws -> [JSONValue] {
        struct Enough: Error {}
        var values: [JSONValue] = []
        do {
            try forEach { record, _ in
                if case .success(let value) = record { values.append(value) }
                if values.count == count { throw Enough() }
            }
        } catch is Enough {}
        return values
    }
}
