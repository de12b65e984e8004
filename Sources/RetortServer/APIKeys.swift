import Foundation

/// The keys that clients may show. They are never logged, and comparing them tells nothing of how much of one fits.
public struct APIKeys: Sendable, CustomStringConvertible, CustomReflectable {
    private let keys: [[UInt8]]

    /// - Parameter keys: none lets everybody in; an empty one lets in nobody.
    public init(_ keys: [String] = []) { self.keys = keys.map { Array($0.utf8) } }

    /// Reads a file with a key on each line; blank lines and those that begin with `#` are skipped.
    /// - Throws: `APIKeysError` when the file cannot be read or holds no key.
    public init(file: URL) throws {
        guard let text = try? String(contentsOf: file, encoding: .utf8) else {
            throw APIKeysError.unreadable(file.path)
        }
        let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
        let keys = lines.filter { !$0.isEmpty && !$0.hasPrefix("#") }
        // A file that was to lock the server and holds nothing must not open it.
        guard !keys.isEmpty else { throw APIKeysError.empty(file.path) }
        self.init(keys)
    }

    /// Whether a key must be shown.
    public var isRequired: Bool { !keys.isEmpty }

    /// Whether `candidate` is one of the keys. Takes the same time for every candidate of a length.
    public func accept(_ candidate: String) -> Bool {
        let shown = Array(candidate.utf8)
        return keys.reduce(false) { found, key in
            guard !key.isEmpty else { return found }
            var difference: UInt8 = key.count == shown.count ? 0 : 1
            for index in shown.indices { difference |= shown[index] ^ key[index % key.count] }
            return found || difference == 0
        }
    }

    /// How many there are, and nothing more.
    public var description: String { "\(keys.count) keys" }

    /// Nothing: keys are not dumped.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Keys that cannot be had.
public enum APIKeysError: Error, Equatable, CustomStringConvertible {
    case unreadable(String)
    case empty(String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .unreadable(let path): "the keys cannot be read from \(path); name a text file with one key a line"
        case .empty(let path): "\(path) holds no key; write one a line, or leave the option out to let everybody in"
        }
    }
}
