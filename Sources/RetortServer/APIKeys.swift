import Foundation

/// The keys that clients may present. They are never logged, and comparing them takes the same time however much of
/// one matches.
public struct APIKeys: Sendable, CustomStringConvertible, CustomReflectable {
    private let keys: [[UInt8]]

    /// - Parameter keys: an empty list lets everybody in; an empty key matches nothing.
    public init(_ keys: [String] = []) { self.keys = keys.map { Array($0.utf8) } }

    /// Reads a file with one key per line; blank lines and lines that begin with `#` are skipped.
    /// - Throws: `APIKeysError` when the file cannot be read or holds no key.
    public init(file: URL) throws {
        guard let text = try? String(contentsOf: file, encoding: .utf8) else {
            throw APIKeysError.unreadable(file.path)
        }
        let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
        let keys = lines.filter { !$0.isEmpty && !$0.hasPrefix("#") }
        // A file that was meant to lock the server must not open it by being empty.
        guard !keys.isEmpty else { throw APIKeysError.empty(file.path) }
        self.init(keys)
    }

    /// Whether a client must present a key.
    public var isRequired: Bool { !keys.isEmpty }

    /// Whether `candidate` is one of the keys. Takes the same time for every candidate of a given length.
    public func accept(_ candidate: String) -> Bool {
        let shown = Array(candidate.utf8)
        return keys.reduce(false) { found, key in
            guard !key.isEmpty else { return found }
            var difference: UInt8 = key.count == shown.count ? 0 : 1
            for index in shown.indices { difference |= shown[index] ^ key[index % key.count] }
            return found || difference == 0
        }
    }

    /// Only the number of keys, so that a log cannot show one.
    public var description: String { "\(keys.count) keys" }

    /// Empty, so that reflection (`dump`, debuggers' output) shows no key.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// A key file that cannot be used.
public enum APIKeysError: Error, Equatable, CustomStringConvertible {
    /// The file at this path cannot be read as text.
    case unreadable(String)
    /// The file at this path contains no key.
    case empty(String)

    /// The fault and its remedy, for people.
    public var description: String {
        switch self {
        case .unreadable(let path): "the keys cannot be read from \(path); name a text file with one key a line"
        case .empty(let path): "\(path) holds no key; write one a line, or leave the option out to let everybody in"
        }
    }
}
