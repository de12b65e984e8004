import Foundation
import Logging
import RetortCore

/// Log lines as JSON objects, one a line, on standard error.
public struct JSONLogHandler: LogHandler {
    /// What is less grave is not written.
    public var logLevel = Logger.Level.info
    /// Members that each line has.
    public var metadata: Logger.Metadata = [:]
    private let label: String

    /// - Parameter label: of the logger, a member of each line.
    public init(label: String) { self.label = label }

    /// A member that each line has.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes a line of JSON to standard error.
    public func log(event: LogEvent) {
        var line: [String: JSONValue] = [
            "time": .string(Date().ISO8601Format(Date.ISO8601FormatStyle(includingFractionalSeconds: true))),
            "level": .string(event.level.rawValue), "logger": .string(label), "message": .string("\(event.message)"),
        ]
        for (name, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
            line[name] = .string("\(value)")
        }
        FileHandle.standardError.write(Data((ExactJSON.text(.object(line)) + "\n").utf8))
    }
}
