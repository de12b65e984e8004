import Foundation
import RetortCore

/// A key that an endpoint asks for. It comes from the environment or a file, is sent in the `Authorization` header and
/// shown nowhere: not in descriptions, logs, records or error messages.
public struct APIKey: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let secret: String

    /// The key in an environment variable.
    /// - Throws: `RemoteError.configuration` when the variable is absent or empty.
    public init(environment name: String) throws {
        guard let value = ProcessInfo.processInfo.environment[name]?.trimmingCharacters(in: .whitespacesAndNewlines),
            !value.isEmpty
        else {
            throw RemoteError.configuration(
                "the environment variable \(name) holds no key; set it, or name another with 'key'")
        }
        try self.init(checked: value, source: "the environment variable \(name)")
    }

    /// The key in a file that holds nothing else, or one line `NAME=key`.
    /// - Throws: `RemoteError.configuration` when the file cannot be read or is empty.
    public init(file: URL) throws {
        guard let text = try? String(contentsOf: file, encoding: .utf8) else {
            throw RemoteError.configuration("\(file.path) cannot be read; put the key there, or name another file")
        }
        var line = text.trimmingCharacters(in: .whitespacesAndNewlines)
        // A key may end in '=' itself.
        if let equals = line.firstIndex(of: "="), !line[equals...].allSatisfy({ $0 == "=" }),
            line[..<equals].allSatisfy({ $0.isUppercase || $0.isNumber || $0 == "_" })
        {
            line = String(line[line.index(after: equals)...]).trimmingCharacters(in: CharacterSet(charactersIn: "\"' "))
        }
        try self.init(checked: line, source: file.path)
    }

    private init(checked value: String, source: String) throws {
        guard !value.isEmpty, value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw RemoteError.configuration("\(source) holds no key: one word of printable ASCII is expected")
        }
        secret = value
    }

    /// The value of the `Authorization` header.
    var authorization: String { "Bearer \(secret)" }

    /// A text of the endpoint's own with the key blotted out, for some endpoints repeat a wrong key.
    func redact(_ text: String) -> String {
        guard secret.count >= 4 else { return text }
        return text.replacing(secret, with: "[key]")
    }

    /// Never the key.
    public var description: String { "[key]" }
    /// Never the key.
    public var debugDescription: String { description }
    /// Nothing: a key is not dumped.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
